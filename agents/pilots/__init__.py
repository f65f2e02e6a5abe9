"""Who decides how much. All pilots run unchanged in the simulator and on the real cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.pilots.ces import Ces
from agents.pilots.hold import Hold
from agents.pilots.newsvendor import Newsvendor
from agents.pilots.reactive import Reactive
from agents.pilots.receding import Receding
from agents.pilots.static import Static
from agents.pilots.threshold import Threshold
from agents.protocols import Pilot
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings

__all__ = [
    "ALL_PILOTS",
    "Ces",
    "Hold",
    "Newsvendor",
    "Reactive",
    "Receding",
    "Static",
    "Threshold",
    "make_pilot",
]

ALL_PILOTS: tuple[Pilot, ...] = (Hold(), Static(), Reactive(), Threshold(), Ces(), Newsvendor(), Receding())
"""With their default hyperparameters, baselines first."""


def make_pilot(settings: PilotSettings, forecaster: str | None = None) -> Pilot:
    """The pilot that the settings name, with the hyperparameters that they give. Raises SettingsError.

    `forecaster` is whose forecasts it will see, as `forecast.model` names it; None: that is not compared with anything.
    """
    if settings.name == "learned":
        return _learned(settings, forecaster)
    return _PLAIN[settings.name](settings)


def _ces(settings: PilotSettings) -> Pilot:
    return Ces(
        past=settings.ces_past,
        ahead=settings.ces_ahead,
        past_fall_nodes=settings.ces_past_fall_nodes,
        coming_fall_nodes=settings.ces_coming_fall_nodes,
        least_nodes=settings.ces_least_nodes,
        buffer_nodes=settings.ces_buffer_nodes,
        keep=settings.ces_keep,
    )


def _newsvendor(settings: PilotSettings) -> Pilot:
    return Newsvendor(
        scale_down_after=settings.scale_down_after,
        pay_back=settings.pay_back,
        stabilisation=settings.stabilisation,
        dead_band_gpus=settings.dead_band_gpus,
        giving_quantile=settings.giving_quantile,
        preempt=settings.preempt,
    )


def _receding(settings: PilotSettings) -> Pilot:
    return Receding(
        horizon=settings.receding_horizon,
        quantile=settings.receding_quantile,
        paths=settings.receding_paths,
        start_up=settings.receding_start_up,
        scale_down_after=settings.scale_down_after,
        stabilisation=settings.stabilisation,
        dead_band_gpus=settings.dead_band_gpus,
        giving_quantile=settings.giving_quantile,
        preempt=settings.preempt,
    )


_PLAIN: Mapping[str, Callable[[PilotSettings], Pilot]] = {
    "hold": lambda _: Hold(),
    "static": lambda told: Static(told.static_quantile),
    "reactive": lambda told: Reactive(told.scale_down_after),
    "threshold": lambda told: Threshold(told.threshold_target, told.threshold_tolerance, told.cooldown),
    "ces": _ces,
    "newsvendor": _newsvendor,
    "receding": _receding,
}


def _learned(settings: PilotSettings, forecaster: str | None) -> Pilot:
    """On the base that its network was trained on; what may be preempted is still the operator's word."""
    # Here, because onnxruntime's import is for those who asked for a network.
    from agents.pilots.learned import Learned
    from agents.pilots.network import load

    if settings.network is None:
        raise SettingsError(
            "pilot.network is empty; give the folder that `gyropilot train` wrote, or set pilot.name to newsvendor"
        )
    card, network = load(settings.network, forecaster)
    preempt = settings.preempt and card.base.preempt
    return Learned(make_pilot(card.base.model_copy(update={"preempt": preempt})), network)
