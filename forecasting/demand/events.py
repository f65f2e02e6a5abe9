"""Events that people name: all their dates, past and to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from forecasting.protocol import State
from forecasting.store import array, text, texts
from gyropilot.domain import ALL_QUEUES, Line
from gyropilot.settings import CalendarSettings


class Stretch(NamedTuple):
    """From one moment to another, in epoch seconds."""

    begin_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Named:
    """An event with all its dates, past and to come."""

    name: str
    queues: tuple[str, ...]  # it is for; empty: all
    times: tuple[Stretch, ...]  # ascending

    @property
    def key(self) -> tuple[str, tuple[str, ...]]:
        """What its occurrences have in common."""
        return self.name, self.queues

    def concerns(self, line: Line) -> bool:
        """Whether it may move a line: a total it may where it moves any queue."""
        return not self.queues or line.queue in self.queues or line.queue == ALL_QUEUES

    def state(self) -> State:
        """As plain data."""
        times = np.array(self.times, dtype=np.int64).reshape(-1, 2)
        return {"name": self.name, "queues": list(self.queues), "times": times}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave. Raises ForecastError."""
        times = array(state, "times", np.int64, (None, 2))
        return cls(text(state, "name"), texts(state, "queues"), tuple(Stretch(*time) for time in times.tolist()))


def named(settings: CalendarSettings) -> tuple[Named, ...]:
    """Events of one name and the same queues are occurrences of one event."""
    found: dict[tuple[str, tuple[str, ...]], set[Stretch]] = {}
    for event in settings.events:
        begins, ends = (int(moment.timestamp()) for moment in event.times())
        found.setdefault((event.name, tuple(sorted(event.queues))), set()).add(Stretch(begins, ends))
    return tuple(Named(name, queues, tuple(sorted(times))) for (name, queues), times in found.items())
