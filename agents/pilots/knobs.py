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

KNOBS: Mapping[str, tuple[Knob, ...]] = {
    "hold": (),
    "static": (Knob("static_quantile", 0.05, 0.995),),
    "reactive": (_SCALE_DOWN_AFTER,),
    "newsvendor": (
        _SCALE_DOWN_AFTER,
        Knob("pay_back", 5, 360, Scale.MINUTES),
        Knob("stabilisation", 5, 360, Scale.MINUTES),
        Knob("dead_band_gpus", 0, 32, Scale.INTEGER),
        Knob("giving_quantile", 0.5, 0.99),
    ),
}
"""By pilot. Whether to preempt is the operator's choice, whatever it costs: it is not among them."""
