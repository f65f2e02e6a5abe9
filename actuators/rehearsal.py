"""Dry run is an object: a dial that is read for real and turned only in the API server's imagination."""

from __future__ import annotations

from dataclasses import dataclass

from actuators.patch import ServerDial
from gyropilot.domain import Dial, OutcomeStatus


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """An actuator whose turns the API server authorises, validates, admits, answers, and forgets (`dryRun=All`)."""

    actuator: ServerDial

    @property
    def dial(self) -> Dial:
        return self.actuator.dial

    @property
    def done(self) -> OutcomeStatus:
        return OutcomeStatus.REHEARSED

    def read(self, target: str) -> int:
        return self.actuator.read(target)

    def turn(self, target: str, before: int, after: int) -> str:
        """What would change. Raises what a real turn would raise."""
        return self.actuator.behind(self.actuator.api.rehearsing()).turn(target, before, after)
