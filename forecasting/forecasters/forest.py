"""What followed moments like this one in any queue: a forest of distributions of change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from forecasting.bands import Bands
from forecasting.demand.calendar import UTC_PLACE, Place
from forecasting.demand.seen import DAY_S, newest, scale_gpus, seen_s, some_lines
from forecasting.demand.signals import NAMES, Rows, Signals, latest
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.trees import Growth, Halves, Trees
from forecasting.grid import GRID, Neighbours, distinct, later, length_s, middle_s, middles_s, window
from forecasting.once import kept
from forecasting.pooling import mean_known, rows_of
from forecasting.protocol import State
from forecasting.store import REMEDY, floats, lines_from_state, lines_to_state, nested, plain, several
from forecasting.windows import Sums
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError

REACHES: Mapping[float, tuple[Window, ...]] = {
    480: (window(0, 5), window(0, 10), window(5, 10)),
    1_500: (window(10, 20), window(20, 30), window(15, 20), window(25, 30)),
    3_600: (window(30, 40), window(40, 50), window(50, 60), window(55, 60), window(0, 60)),
    10_800: (window(60, 120), window(120, 180), window(115, 120), window(0, 120), window(175, 180)),
    21_600: (window(180, 240), window(240, 300), window(300, 360), window(235, 240), window(0, 360)),
    43_200: tuple(window(60 * (hour - 1), 60 * hour) for hour in range(7, 13)),
    64_800: tuple(window(60 * (hour - 1), 60 * hour) for hour in range(13, 19)),
    90_000: tuple(window(60 * (hour - 1), 60 * hour) for hour in range(19, 26)),
    8 * DAY_S: tuple(window(60 * (hour - 1), 60 * hour) for hour in (30, 36, 48, 72, 96, 120, 144, 168)),
}
"""By the middle of a window, in seconds, up to which one forest answers: the windows that it learns from."""

LEAST_MOMENTS = 1_000
WARM_UP_S = DAY_S / 2
"""Of history before the first moment that is learnt from, so that there is something to describe it with."""

LEAST_SPREAD = 0.02
"""Of a line's largest demand: a line that hardly ever moves must not turn a small change into a huge one."""

SPREAD_MOMENTS = 1_500
IN_SCALE = tuple(
    NAMES.index(name)
    for name in ("demand", "young 15 min", "young 1 h", "young 4 h", "young 24 h", "gone 1 h", "gone 24 h")
)
ASKED = 6
FEATURES = len(NAMES) + len(IN_SCALE) + ASKED
"""That a row has: signals, some of them in another unit, then what is asked about them."""

TIMES = [i for i, name in enumerate(NAMES) if name.startswith("minutes")]


@dataclass(frozen=True, eq=False, slots=True)
class Spreads:
    """How far demand of each line usually is from where it was, per window of the grid."""

    lines: tuple[Line, ...]
    gpus: Floats  # (L, G) mean size of changes
    seen_s: Floats  # (L,) seconds that were seen
    scale: Floats  # (L,) largest demand seen, at least a node's

    @classmethod
    def of(cls, history: DemandHistory) -> Self:
        """Measured at some moments of each line; windows that nothing is known of are taken from those before."""
        scale, count = scale_gpus(history), history.demand.shape[1]
        sums, gpus = Sums.of(history), np.zeros((len(history.lines), len(GRID)))
        for g, asked in enumerate(GRID):
            last = count - 1 - int(np.ceil(asked.end / history.step))
            columns = np.unique(np.linspace(0, max(last, 0), SPREAD_MOMENTS).astype(np.int64))
            known = sums.means_after(columns, asked) - history.demand[:, columns] if last > 0 else np.empty((0, 0))
            gpus[:, g] = mean_known(np.abs(known)) if known.size else np.nan
        by_lead = np.argsort([middle_s(asked) for asked in GRID], kind="stable")
        gpus[:, by_lead] = _filled(gpus[:, by_lead])
        return cls(history.lines, gpus + LEAST_SPREAD * scale[:, None], seen_s(history), scale)

    def for_lines(self, history: DemandHistory) -> Spreads:
        """Rows in the order of `history`; those not known, or known from half as much, are measured anew."""
        at, seen, scale = rows_of(self.lines, history.lines), seen_s(history), scale_gpus(history)
        known = (at >= 0) & (seen < 2 * np.append(self.seen_s, 0.0)[at] + 1)
        known_scale = np.maximum(scale, np.append(self.scale, 0.0)[at])
        if known.all():
            return Spreads(
                history.lines, self.gpus if self.lines == history.lines else self.gpus[at], seen, known_scale
            )
        gpus, new = np.empty((len(at), len(GRID))), np.flatnonzero(~known)
        gpus[known] = self.gpus[at[known]]
        if len(new):
            gpus[new] = Spreads.of(some_lines(history, new)).gpus
        return Spreads(history.lines, gpus, seen, np.where(known, known_scale, scale))

    def at(self, windows: Sequence[Window]) -> Floats:
        """(L, W) GPUs."""
        around = Neighbours.of(GRID, windows)
        table: Floats = around.blend(self.gpus[:, around.needed, None])[..., 0] / np.maximum(around.size, 1e-9)
        return table

    def state(self) -> State:
        """As plain data."""
        return {"lines": lines_to_state(self.lines), "gpus": self.gpus, "seen_s": self.seen_s, "scale": self.scale}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From a state that holds what `state` gave."""
        lines = lines_from_state(nested(state, "lines"))
        seen_s, scale = (floats(state, name, (len(lines),)) for name in ("seen_s", "scale"))
        spreads = cls(lines, floats(state, "gpus", (len(lines), len(GRID))), seen_s, scale)
        if not ((spreads.gpus > 0).all() and (seen_s >= 0).all() and (scale > 0).all()):
            raise ForecastError(f"the saved forest measures changes in what is no size; {REMEDY}")
        return spreads


@dataclass(frozen=True, eq=False)
class Forest:
    """One forest for all lines and a reach of windows: the newest reading plus a distribution of change.

    Changes are in units of the line's own usual change over such a window, so that lines of all sizes teach each
    other; what is known of a moment are the leading signals in the same unit. What was never seen is blended in as
    in `Bands`. Before `fit`, and with too few moments, it is `Naive`.
    """

    growth: Growth = field(default_factory=Growth)
    trees: tuple[Trees, ...] = ()  # one per reach; fewer where the history is too short for the later ones
    spreads: Spreads | None = None
    naive: Naive = field(default_factory=Naive)  # where nothing could be grown
    place: Place = UTC_PLACE

    name = "forest"

    def settled(self, place: Place) -> Self:
        """The same, by the clocks of `place`."""
        return replace(self, place=place)

    def fit(self, history: DemandHistory) -> Self:
        """Learns from moments drawn at random."""
        spreads = Spreads.of(history)
        drawn = _moments(history, self.growth)
        if len(drawn[0]) < LEAST_MOMENTS:
            return replace(self, spreads=spreads, trees=(), naive=self.naive.fit(history))
        signals = Signals.of(history).at(*drawn)
        sums, trees = Sums.of(history), list[Trees]()
        for reach, windows in enumerate(REACHES.values()):
            grown = self._grown(reach, windows, history, sums, spreads, drawn, signals)
            if grown is None:
                break
            trees.append(grown)
        return replace(self, spreads=spreads, trees=tuple(trees))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        shape = (len(history.lines), len(windows), len(quantiles))
        if not shape[0] or not shape[1]:
            return np.zeros(shape)
        if not self.trees or not history.demand.shape[1]:
            return self.naive.predict(history, windows, quantiles)
        spreads = (self.spreads or _NO_SPREADS).for_lines(history)
        now, age_s = newest(history)
        change = np.zeros(shape)
        for age in distinct(age_s):
            rows = np.flatnonzero(age_s == age)
            change[rows] = self._changes(history, rows, float(age), windows, quantiles, spreads)
        return _with_doubt(now, age_s, change, windows, quantiles, spreads)

    def state(self) -> State:
        """Everything that was fitted."""
        return {
            "growth": asdict(self.growth),
            "trees": [trees.state() for trees in self.trees],
            **(self.spreads or _NO_SPREADS).state(),
            "naive": self.naive.state(),
            "place": self.place.state(),
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave. Raises ForecastError where it does not fit what is asked of it."""
        trees = tuple(Trees.restored(trees, FEATURES) for trees in several(state, "trees"))
        naive = Naive.restored(nested(state, "naive"))
        return cls(plain(Growth, state, "growth"), trees, Spreads.restored(state), naive, Place.restored(state))

    def _target(self, times_s: Floats) -> _Target:
        """Of times (R, W) since the epoch."""
        local_s = self.place.local_s(times_s)
        return _Target(2 * np.pi * (local_s % DAY_S) / DAY_S, self.place.days_off(local_s))

    def _grown(
        self,
        reach: int,
        windows: Sequence[Window],
        history: DemandHistory,
        sums: Sums,
        spreads: Spreads,
        drawn: tuple[Rows, Rows],
        signals: Floats,
    ) -> Trees | None:
        """The forest of one reach; None where too little is known of what followed."""
        line, column = drawn
        asked = [w for w in windows if w.end - w.start >= history.step] or [_at_step(windows[-1], history.step)]
        which = np.random.default_rng([self.growth.seed, reach]).integers(len(asked), size=len(line))
        change = np.full(len(line), np.nan)
        for w, one in enumerate(asked):
            mine = np.flatnonzero(which == w)
            change[mine] = sums.means_at(line[mine], column[mine], one) - history.demand[line[mine], column[mine]]
        known = np.flatnonzero(np.isfinite(change))
        if len(known) < LEAST_MOMENTS:
            return None
        line, column, which = line[known], column[known], which[known]
        spread, about = spreads.at(asked)[line, which], _Asked.of(asked).picked(which[:, None])
        target = self._target(history.times[column, None] + about.lead_s)
        features = _described(signals[known], spreads.scale[line], target, about, spread[:, None])
        # Between all lines alike (1) and GPU for GPU (spread): the latter is the loss, the former learns from more.
        return Trees.grow(features[:, 0], change[known] / spread, np.sqrt(spread / spread.mean()), self.growth)

    def _changes(
        self,
        history: DemandHistory,
        rows: Rows,
        age_s: float,
        windows: Sequence[Window],
        quantiles: Sequence[float],
        spreads: Spreads,
    ) -> Floats:
        """(R, W, Q) GPUs of change since the newest reading of lines that are equally late."""
        age = timedelta(seconds=age_s)
        asked = later(windows, age)
        spread, about = spreads.at(asked)[rows], _Asked.of(asked)
        column = max(0, history.demand.shape[1] - 1 - round(age / history.step))
        target = self._target(history.times[column, None, None] + about.lead_s)
        features = _described(latest(history)[rows], spreads.scale[rows], target, about, spread)
        change = np.empty((*spread.shape, len(quantiles)))
        for reach, mine in _by_reach(asked, len(self.trees)):
            answer = self.trees[reach].quantiles(features[:, mine].reshape(-1, FEATURES), quantiles)
            change[:, mine] = answer.reshape(len(rows), len(mine), len(quantiles))
        # Before the first window that was learnt from, change shrinks in proportion to time.
        first = middle_s(_at_step(REACHES[480][0], history.step))
        change *= (spread * np.minimum(1.0, about.lead_s / first))[..., None]
        return change


class _Target(NamedTuple):
    """When the middles of windows are, for those who use the cluster."""

    hour: Floats  # (R, W) of the day, as an angle
    off: NDArray[np.bool_]  # (R, W) whether it is a weekend


@kept
def _by_reach(windows: Sequence[Window], forests: int) -> tuple[tuple[int, Rows], ...]:
    """Which windows each of so many forests answers."""
    reach = np.minimum(np.searchsorted(list(REACHES), middles_s(windows)), forests - 1)
    return tuple((int(r), np.flatnonzero(reach == r)) for r in np.unique(reach))


class _Asked(NamedTuple):
    """What of windows is learnt from."""

    lead_s: Floats  # (W,) of their middles
    length_s: Floats  # (W,)

    @staticmethod
    @kept
    def of(windows: Sequence[Window]) -> _Asked:
        return _Asked(middles_s(windows), np.array([length_s(w) for w in windows]))

    def picked(self, which: Rows) -> Self:
        return type(self)(self.lead_s[which], self.length_s[which])


def _described(signals: Floats, scale: Floats, target: _Target, about: _Asked, spread: Floats) -> Halves:
    """(R, W, F) numbers without unit, 0 where not known: of moments (R,), of windows, and `spread` (R, W)."""
    from forecasting.compiled import features

    known = signals.copy()
    known[:, TIMES] = np.log1p(known[:, TIMES])
    asked = np.empty((*spread.shape, ASKED))
    asked[..., 0] = spread / scale[:, None]
    asked[..., 1], asked[..., 2] = np.log(about.lead_s), about.length_s / about.lead_s
    asked[..., 3], asked[..., 4] = np.sin(target.hour), np.cos(target.hour)
    asked[..., 5] = target.off
    return features.joined(known, Signals.in_gpus, spread, signals[:, IN_SCALE], scale, asked)


def _moments(history: DemandHistory, growth: Growth) -> tuple[Rows, Rows]:
    """Lines and columns drawn at random where demand was seen, after the warm-up."""
    lines, count = history.demand.shape
    first = int(WARM_UP_S / history.step.total_seconds())
    if not lines or count <= first + 1:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    rng = np.random.default_rng(growth.seed)
    rows = min(growth.rows, lines * (count - first))
    line, column = rng.integers(lines, size=rows), rng.integers(first, count, size=rows)
    seen = np.isfinite(history.demand[line, column])
    return line[seen], column[seen]


def _with_doubt(
    now: Floats,
    age_s: Floats,
    change: Floats,
    windows: Sequence[Window],
    quantiles: Sequence[float],
    spreads: Spreads,
) -> Floats:
    """(L, W, Q) around the newest reading, with room for what never happened: as one change among those seen."""
    doubt = Bands.doubt(spreads.lines, spreads.seen_s, spreads.scale)
    return doubt.roomy(now, change, age_s[:, None] + middles_s(windows), quantiles)


@kept
def _at_step(asked: Window, step: timedelta) -> Window:
    """The window, or where it is shorter than a step the step that ends where it does, one step ahead at least."""
    end = max(asked.end, step)
    return Window(min(asked.start, end - step), end)


def _filled(gpus: Floats) -> Floats:
    """(L, G) with what is not known taken from the window before; 0 where there is none."""
    known = np.where(np.isfinite(gpus), np.arange(gpus.shape[1]), 0)
    last = np.maximum.accumulate(known, axis=1)
    filled: Floats = np.nan_to_num(np.take_along_axis(gpus, last, axis=1))
    return filled


_NO_SPREADS = Spreads((), np.empty((0, len(GRID))), np.empty(0), np.empty(0))
