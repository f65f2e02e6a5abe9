"""Pilots decide how much, agents decide which. Both are pure functions of what was seen."""

from __future__ import annotations

from typing import Protocol

from gyropilot.domain import Action, Intent, View


class Pilot(Protocol):
    """Decides how much."""

    @property
    def name(self) -> str: ...

    def steer(self, view: View) -> Intent: ...


class Agent(Protocol):
    """Decides which."""

    @property
    def name(self) -> str: ...

    def propose(self, view: View, intent: Intent) -> list[Action]: ...
