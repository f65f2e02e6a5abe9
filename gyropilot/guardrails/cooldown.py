"""Holds a dial still until the effect of its last turn can be seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from gyropilot.domain import Action, Dial, Turn
from gyropilot.guardrails.lookup import called, in_words
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class Cooldown:
    """No dial is turned twice within `turn`, nor back the other way within `reversal`: no see-saw."""

    turn: timedelta
    reversal: timedelta

    name: ClassVar[str] = "cooldown"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        if any(_same_dial(action, other) for other in situation.approved):
            return f"{called(action)} is turned once already in this cycle"
        turns = [turn for turn in situation.recent if _same_dial(action, turn.action)]
        hot = [turn for turn in turns if situation.now - turn.at < self._rest(action, turn)]
        if not hot:
            return None
        last = max(hot, key=lambda turn: turn.at + self._rest(action, turn))
        verb = "turned the other way" if _reverses(action, last.action) else "turned"
        ago, rest = in_words(situation.now - last.at), in_words(self._rest(action, last))
        return f"{called(action)} was {verb} {ago} ago, cooldown {rest}"

    def _rest(self, action: Action, last: Turn) -> timedelta:
        return max(self.turn, self.reversal) if _reverses(action, last.action) else self.turn


def _same_dial(action: Action, other: Action) -> bool:
    return (action.dial, action.target) == (other.dial, other.target)


def _reverses(action: Action, other: Action) -> bool:
    return action.delta * other.delta < 0
