"""A pilot that says how far it has come: some take minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from agents.protocols import Pilot
from gyropilot.domain import Intent, View

TIMES = 200
"""As often as that it is said of a run."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Steers as the pilot does, and tells after how many of its looks."""

    pilot: Pilot
    looks: int  # that there will be, at most
    told: Callable[[str], None]
    _done: count[int] = field(default_factory=count)

    @property
    def name(self) -> str:
        return self.pilot.name

    def steer(self, view: View) -> Intent:
        done = next(self._done)
        if done % max(1, self.looks // TIMES) == 0:
            self.told(f"{self.name} steers: {done:,} of {self.looks:,} looks")
        return self.pilot.steer(view)
