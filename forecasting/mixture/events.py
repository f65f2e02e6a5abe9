"""Named events: what demand was at earlier occurrences of a name tells what it will be at the next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import numpy as np

from forecasting.demand.beforehand import Learnt
from forecasting.demand.calendar import Place
from forecasting.demand.events import Named, Stretch
from forecasting.grid import ends_s
from forecasting.mixture.occasions import CELLS, ENTERS, LEAVES, REACH_S, WITHIN, Occasion, cells, cover
from forecasting.mixture.ways import Ways, swayed
from forecasting.protocol import State
from forecasting.store import several
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window

Model = TypeVar("Model")

MOST_OCCASIONS = 24
"""Of one event that are remembered: what was long ago was another cluster."""


@dataclass(frozen=True, eq=False, slots=True)
class Events:
    """All that were named, with what is remembered of occurrences that are over. Without any it changes nothing."""

    known: tuple[Named, ...] = ()
    occasions: tuple[tuple[Occasion, ...], ...] = ()  # of each, ascending
    _ways: dict[tuple[int, tuple[Line, ...]], Ways] = field(default_factory=dict)  # worked out; it changes no answer

    def informed(self, known: tuple[Named, ...]) -> Self:
        """Those that are named now; what was seen of them before is remembered."""
        before = {event.key: some for event, some in zip(self.known, self.occasions, strict=True)}
        kept = (tuple(one for one in before.get(event.key, ()) if one.time in event.times) for event in known)
        return replace(self, known=known, occasions=tuple(kept), _ways={})

    def fit(self, history: DemandHistory, place: Place) -> Self:
        """Having measured what is over and was not measured before."""
        if not self.unmeasured(history):
            return self
        occasions = []
        for event, some in zip(self.known, self.occasions, strict=True):
            new = (Occasion.of(history, time, place) for time in _unmeasured(history, event, some))
            occasions.append(tuple(sorted((*some, *new), key=lambda one: one.time)[-MOST_OCCASIONS:]))
        return replace(self, occasions=tuple(occasions), _ways={})

    def unmeasured(self, history: DemandHistory) -> bool:
        """Whether an occurrence is over that a fit would learn from."""
        pairs = zip(self.known, self.occasions, strict=True)
        return any(_unmeasured(history, event, some) for event, some in pairs)

    def moved(self, mixed: Floats, history: DemandHistory, windows: Sequence[Window]) -> Floats:
        """(L, W, Q) `mixed`, which knows of no event, as events let one expect it; itself where none is near.

        Where several are on at once, the one that is believed most counts alone.
        """
        if not self.known or not len(history.times):
            return mixed
        now_s, table, most = int(history.times[-1]), mixed, np.zeros(mixed.shape[:2])
        for event, time in self._near(now_s, windows):
            ways, parts = self.ways(event, history.lines), _parts(time, now_s, windows)
            believed = (1 - ways.shares[:, 0])[:, None] * parts.any(axis=1)
            more = believed > most
            if more.any():
                table = np.where(more[..., None], swayed(mixed, ways, parts), table)
                most = np.maximum(most, believed)
        return table

    def ways(self, event: int, lines: tuple[Line, ...]) -> Ways:
        """What earlier occurrences of one of those known tell about lines."""
        key = event, lines
        if key not in self._ways:
            concerned = [row for row, line in enumerate(lines) if self.known[event].concerns(line)]
            some = Ways.of(self.occasions[event], [lines[row] for row in concerned])
            self._ways[key] = some.among(concerned, len(lines))
        return self._ways[key]

    def learnt(self, name: str, queues: Collection[str]) -> Learnt:
        """What is known of the event of this name and these queues."""
        key = name, tuple(sorted(queues))
        at = next((at for at, event in enumerate(self.known) if event.key == key), None)
        if at is None or not self.occasions[at]:
            return Learnt()
        lines = tuple(line for line in self.occasions[at][-1].lines if line.queue != ALL_QUEUES)
        ways = self.ways(at, lines)
        came, usual = float(ways.came.sum()), float(ways.usual.sum())
        believed = (1 - ways.shares[:, 0]) @ (ways.came + ways.usual) / max(came + usual, 1e-9)
        return Learnt(int(ways.seen.max(initial=0)), float(believed), came, usual)

    def state(self) -> State:
        """As plain data."""
        return {"events": [_saved(*pair) for pair in zip(self.known, self.occasions, strict=True)]}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`. Raises ForecastError."""
        events = several(state, "events")
        occasions = (tuple(Occasion.restored(one) for one in several(event, "occasions")) for event in events)
        return cls(tuple(Named.restored(event) for event in events), tuple(occasions))

    def _near(self, now_s: int, windows: Sequence[Window]) -> Iterator[tuple[int, Stretch]]:
        """Occurrences that are on now or begin within the windows."""
        until_s = now_s + float(ends_s(windows).max(initial=0.0))
        for at, event in enumerate(self.known):
            yield from ((at, time) for time in event.times if time.begin_s < until_s and now_s < time.end_s)


NO_EVENTS = Events()


def informed(model: Model, known: tuple[Named, ...]) -> Model:
    """The model, told of events where it takes them into account."""
    told: Model = model.informed(known) if hasattr(model, "informed") else model
    return told


def events_of(model: object) -> Events | None:
    """Those that a model takes into account; None where it takes none."""
    return getattr(model, "events", None)


def learnt_by(model: object) -> Callable[[str, Collection[str]], Learnt] | None:
    """What a model has learnt of the event of a name and its queues; None where it takes no events into account."""
    events = events_of(model)
    return None if events is None else events.learnt


def _saved(event: Named, occasions: Sequence[Occasion]) -> State:
    return {**event.state(), "occasions": [one.state() for one in occasions]}


def _unmeasured(history: DemandHistory, event: Named, known: Sequence[Occasion]) -> list[Stretch]:
    """Newest first are kept: what is older than those remembered is not measured again."""
    measured = {one.time for one in known}
    oldest = min(measured) if len(measured) >= MOST_OCCASIONS else Stretch(0, 0)
    new = (time for time in event.times if time not in measured and time > oldest)
    return [time for time in new if Occasion.can_be_seen(history, time)]


def _parts(time: Stretch, now_s: int, windows: Sequence[Window]) -> Floats:
    """(W, CELLS) how much of each window is in the event, entered or gone through, or left behind where it is on."""
    inside, column, at = cover(time, now_s, windows), cells(windows), np.arange(len(windows))
    parts = np.zeros((len(windows), CELLS))
    if now_s < time.begin_s:
        parts[at, column[ENTERS]] = inside
        return parts
    ends = ends_s(windows)
    after = (now_s + ends > time.end_s) & (ends <= REACH_S)
    parts[at, column[WITHIN]] = inside
    parts[at, column[LEAVES]] = np.where(after, 1 - inside, 0.0)
    return parts
