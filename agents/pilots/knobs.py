"""What of each pilot may be tuned, and within what: settings that are a matter of measure, not of policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MINUTE = timedelta(minutes=1)
Value = float | int | timedelta


class Scale(StrEnum):
    """How a setting is walked from its lowest to its highest value."""

    LINEAR = "linear"
    LOG = "log"  # equal steps multiply
    INTEGER = "integer"
    MINUTES = "minutes"  # whole ones; equal steps multiply


@dataclass(frozen=True, slots=True)
class Knob:
    """A field of PilotSettings that may be tuned; `low` and `high` are in minutes where its scale is."""

    name: str
    low: float
    high: float
    scale: Scale = Scale.LINEAR

    def at(self, place: float) -> Value:
        """The value at a place from 0 (lowest) to 1; what lies outside is brought back. Three digits count."""
        place = min(1.0, max(0.0, place))
        if self.scale in {Scale.LOG, Scale.MINUTES}:
            number = self.low * math.exp(place * math.log(self.high / self.low))
        else:
            number = self.low + (self.high - self.low) * place
        if self.scale is Scale.MINUTES:
            return round(number) * MINUTE
        return round(number) if self.scale is Scale.INTEGER else float(f"{number:.3g}")

    def place(self, value: Value) -> float:
        """Where a value lies from 0 to 1; the nearest end where it lies outside."""
        number = value / MINUTE if isinstance(value, timedelta) else float(value)
        number = min(self.high, max(self.low, number))
        if self.scale in {Scale.LOG, Scale.MINUTES}:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)


_SCALE_DOWN_AFTER = Knob("scale_down_after", 5, 180, Scale.MINUTES)
_DEAD_BAND = Knob("dead_band_gpus", 0, 32, Scale.INTEGER)
_OF_QUOTAS = (Knob("stabilisation", 5, 360, Scale.MINUTES), Knob("giving_quantile", 0.5, 0.99))

KNOBS: Mapping[str, tuple[Knob, ...]] = {
    "hold": (),
    "static": (Knob("static_quantile", 0.05, 0.995),),
    "reactive": (_SCALE_DOWN_AFTER,),
    "threshold": (
        Knob("threshold_target", 0.4, 1.0),
        Knob("threshold_tolerance", 0.0, 0.5),
        Knob("cooldown", 5, 180, Scale.MINUTES),
    ),
    "ces": (
        Knob("ces_past", 15, 360, Scale.MINUTES),
        Knob("ces_ahead", 15, 720, Scale.MINUTES),
        Knob("ces_past_fall_nodes", 0, 8),
        Knob("ces_coming_fall_nodes", -4, 8),
        Knob("ces_least_nodes", 1, 8, Scale.INTEGER),
        Knob("ces_buffer_nodes", 0, 12, Scale.INTEGER),
        Knob("ces_keep", 5, 360, Scale.MINUTES),
    ),
    "newsvendor": (_SCALE_DOWN_AFTER, Knob("pay_back", 5, 360, Scale.MINUTES), _DEAD_BAND, *_OF_QUOTAS),
    "receding": (
        _SCALE_DOWN_AFTER,
        Knob("receding_horizon", 30, 720, Scale.MINUTES),
        Knob("receding_quantile", 0.1, 0.95),
        Knob("receding_paths", 1, 9, Scale.INTEGER),
        Knob("receding_start_up", 1, 60, Scale.MINUTES),
        _DEAD_BAND,
        *_OF_QUOTAS,
    ),
    "learned": (),
}
"""By pilot. Whether to preempt is the operator's choice, whatever it costs: it is not among them."""
