"""Holds everything back when the picture is old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from gyropilot.domain import Action, Dial
from gyropilot.guardrails.lookup import in_words
from gyropilot.guardrails.protocol import Situation


@dataclass(frozen=True, slots=True)
class Freshness:
    """Less sight, less action: an old picture, or one with an old source, turns nothing."""

    max_age: timedelta
    max_age_of: Mapping[str, timedelta] = field(default_factory=dict)  # sources that are slower by nature

    name: ClassVar[str] = "freshness"
    dials: ClassVar[tuple[Dial, ...]] = ()

    def objection(self, action: Action, situation: Situation) -> str | None:
        age = situation.now - situation.state.seen_at
        if age > self.max_age:
            return f"the picture of the cluster is {in_words(age)} old, {in_words(self.max_age)} allowed"
        if age < -self.max_age:
            return f"the picture of the cluster is {in_words(-age)} ahead of the clock; set the clocks right"
        for source, lag in sorted(situation.state.freshness.items()):
            allowed = self.max_age_of.get(source, self.max_age)
            if age + lag > allowed:
                return f"what {source} told is {in_words(age + lag)} old, {in_words(allowed)} allowed"
        return None
