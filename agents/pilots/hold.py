"""Hold: the first row of every comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

from gyropilot.domain import Intent, View


@dataclass(frozen=True, slots=True)
class Hold:
    """Wants nothing."""

    name: str = field(default="hold", init=False)

    def steer(self, view: View) -> Intent:
        return Intent(self.name)
