"""Who decides how much. All pilots run unchanged in the simulator and on the real cluster."""

from __future__ import annotations

from agents.pilots.hold import Hold
from agents.pilots.newsvendor import Newsvendor
from agents.pilots.reactive import Reactive
from agents.pilots.static import Static
from agents.protocols import Pilot
from gyropilot.settings import PilotSettings

__all__ = ["ALL_PILOTS", "Hold", "Newsvendor", "Reactive", "Static", "make_pilot"]

ALL_PILOTS: tuple[Pilot, ...] = (Hold(), Static(), Reactive(), Newsvendor())
"""With their default hyperparameters, baselines first."""


def make_pilot(settings: PilotSettings) -> Pilot:
    """The pilot that the settings name, with the hyperparameters that they give."""
    pilots: dict[str, Pilot] = {
        "hold": Hold(),
        "static": Static(settings.static_quantile),
        "reactive": Reactive(settings.scale_down_after),
        "newsvendor": Newsvendor(
            scale_down_after=settings.scale_down_after,
            pay_back=settings.pay_back,
            stabilisation=settings.stabilisation,
            dead_band_gpus=settings.dead_band_gpus,
            giving_quantile=settings.giving_quantile,
            preempt=settings.preempt,
        ),
    }
    return pilots[settings.name]
