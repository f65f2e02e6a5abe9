"""Past moments as paths of jobs: what of each age left and what arrived after them. What `Jobs` remembers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.demand.seen import DAY_S, scale_gpus, seen_s, some_lines
from forecasting.demand.signals import AGES_S, NAMES, Rows, Signals, latest
from forecasting.forecasters.moments import HALF_LIFE_S, Halves, spread_columns
from forecasting.pooling import or_zero
from forecasting.protocol import State
from forecasting.store import array, floats, lines_from_pairs
from forecasting.windows import Sums
from gyropilot.domain import DemandHistory, Floats, Line, Window

EDGES = (*(f"young {age}" for age in AGES_S), "demand")
LAYERS = len(EDGES)
_EDGES = [NAMES.index(name) for name in EDGES]
WHOLE = 65_535
"""A layer, in parts that two bytes hold."""

INSTANTS = np.array([1, 3, 5]) / 6
"""Where in a window it is looked at what is left of each layer."""

HOURS_WIDTH = 6.0
ANY_HOUR = 0.1
"""Weight of a path that began at quite another time of day."""

LEAST_LAYER = 0.1
"""Share of the line's largest demand: thinner layers say nothing about survival."""


@dataclass(frozen=True, eq=False, slots=True)
class Paths:
    """What followed some past moments of some lines."""

    lines: tuple[Line, ...]
    lost: NDArray[np.uint16]  # (L, W, LAYERS, P) mean share of each layer that is gone in each window, of WHOLE
    arrived: Halves  # (L, W, P) mean GPUs in each window that came since; NaN: not seen
    weight: Halves  # (L, P) by age; 0: demand was not seen
    day_s: Halves  # (L, P) second of the day
    seen_s: Floats  # (L,) seconds that were seen
    scale: Floats  # (L,) largest demand seen, at least a node's

    @classmethod
    def of(cls, history: DemandHistory, windows: Sequence[Window], most: int) -> Self:
        """At most `most` paths a line."""
        lines, count = len(history.lines), min(most, history.demand.shape[1])
        paths = cls(
            lines=history.lines,
            lost=np.zeros((lines, len(windows), LAYERS, count), dtype=np.uint16),
            arrived=np.full((lines, len(windows), count), np.nan, dtype=np.float32),
            weight=np.zeros((lines, count), dtype=np.float32),
            day_s=np.zeros((lines, count), dtype=np.float32),
            seen_s=seen_s(history),
            scale=scale_gpus(history),
        )
        for rows, columns in spread_columns(history, count):
            paths._remember(some_lines(history, rows), rows, columns, windows)
        return paths

    @classmethod
    def restored(cls, state: State, windows: int) -> Self:
        """From what `state` gave, of so many windows. Raises ForecastError where tables do not fit each other."""
        lines = lines_from_pairs(state, "lines")
        arrived = array(state, "arrived", np.float32, (len(lines), windows, None))
        count = arrived.shape[-1]
        return cls(
            lines,
            array(state, "lost", np.uint16, (len(lines), windows, LAYERS, count)),
            arrived,
            array(state, "weight", np.float32, (len(lines), count)),
            array(state, "day_s", np.float32, (len(lines), count)),
            *(floats(state, name, (len(lines),)) for name in ("seen_s", "scale")),
        )

    def state(self) -> State:
        """Everything, as arrays."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "lines"}
        return {"lines": [list(line) for line in self.lines], **arrays}

    def changes(self, rows: Rows, now: Floats, day_s: int, windows: Rows, quantiles: Sequence[float]) -> Floats:
        """(R, W, Q) GPUs that lines in `rows` change by when their layers are `now` (R, LAYERS) GPUs thick."""
        from forecasting.compiled import samples

        apart = np.abs(self.day_s[rows] - day_s)
        hours = np.minimum(apart, DAY_S - apart) / 3_600
        weight = self.weight[rows] * (ANY_HOUR + np.exp(-0.5 * (hours / HOURS_WIDTH) ** 2))
        change = samples.changes(self.lost, self.arrived, now, rows, windows)
        return samples.ordered_quantiles(change, np.argsort(change, axis=2), weight, np.asarray(quantiles))

    def _remember(self, history: DemandHistory, rows: Rows, columns: Rows, windows: Sequence[Window]) -> None:
        """Fills in `rows`, which are the lines of `history`, with what followed `columns`."""
        count, sums = len(columns), Sums.of(history)
        demand, age_s = history.demand[:, columns], history.times[-1] - history.times[columns]
        self.weight[rows, :count] = np.isfinite(demand) * 0.5 ** (age_s / HALF_LIFE_S)
        self.day_s[rows, :count] = history.times[columns] % DAY_S
        line, moment = (grid.ravel() for grid in np.indices(demand.shape))
        layers = layers_of(history, line, columns[moment]).reshape(*demand.shape, LAYERS)
        least = LEAST_LAYER * self.scale[rows][:, None, None]
        for w, lowest in enumerate(_lowest_in(history, columns, windows)):
            within_step = min(1.0, windows[w].end / history.step)  # there nothing was measured
            lost = np.mean([_lost(layers, low) for low in lowest], axis=0)
            arrived = sums.means_after(columns, windows[w]) - np.mean(lowest, axis=0)
            share = _drawn_where_unknown(np.where(layers > least, lost / np.maximum(layers, least), np.nan))
            self.lost[rows, w, :, :count] = np.rint(WHOLE * within_step * np.swapaxes(share, 1, 2))
            self.arrived[rows, w, :count] = arrived * within_step


def layers_of(history: DemandHistory, line: Rows, column: Rows) -> Floats:
    """(N, LAYERS) GPUs of demand at `column` by age, the youngest first; the last one was there all day.

    Last in, first out: what a line holds above its lowest demand of the last hour came within the hour.
    """
    if not history.demand.shape[1]:
        return np.zeros((len(line), LAYERS))
    return _layers(Signals.of(history).at(line, column, EDGES))


def layers_now(history: DemandHistory) -> Floats:
    """(L, LAYERS) GPUs of demand by age at the newest reading of each line."""
    return _layers(latest(history)[:, _EDGES])


def _layers(edges: Floats) -> Floats:
    """(N, LAYERS) from how much is younger than each age, and all (N, LAYERS)."""
    layers = edges.copy()
    layers[:, 1:] -= edges[:, :-1]
    return or_zero(layers)


def _lost(layers: Floats, lowest: Floats) -> Floats:
    """(L, P, LAYERS) GPUs of each layer that left while demand fell to `lowest` (L, P): the youngest leave first."""
    top = np.cumsum(layers[..., ::-1], axis=-1)[..., ::-1]
    gone: Floats = np.clip(top - lowest[..., None], 0.0, layers)
    return gone


def _lowest_in(history: DemandHistory, columns: Rows, windows: Sequence[Window]) -> Iterator[Floats]:
    """For each window (INSTANTS, L, P): the lowest demand from each column to each instant of it; NaN: not seen."""
    leads = np.array([[_lead(window, share, history.step) for share in INSTANTS] for window in windows], np.int64)
    wanted, place = np.unique(leads, return_inverse=True)
    lowest = np.array(list(_lowest_after(history.demand, columns, wanted)))
    for at in place.reshape(leads.shape):
        yield lowest[at]


def _lead(window: Window, share: float, step: timedelta) -> int:
    return max(1, round((window.start + share * (window.end - window.start)) / step))


def _lowest_after(demand: Floats, columns: Rows, leads: Rows) -> Iterator[Floats]:
    """(L, P) lowest demand over each of `leads` (ascending) steps after the columns; NaN beyond the end.

    By doubling: `table` holds minima over `width` columns, and any longer stretch is two overlapping ones.
    """
    now = demand[:, columns]
    table, width, end = np.where(np.isfinite(demand), demand, np.inf), 1, demand.shape[1]
    for lead in leads:
        while 2 * width <= lead:
            table[:, :-width] = np.minimum(table[:, :-width], table[:, width:])
            width *= 2
        first, last = np.minimum(columns + 1, end - 1), np.clip(columns + lead - width + 1, 0, end - 1)
        lowest = np.minimum(np.minimum(table[:, first], table[:, last]), now)
        yield np.where((columns + lead < end) & np.isfinite(lowest), lowest, np.nan)


def _drawn_where_unknown(share: Floats) -> Floats:
    """The same (L, P, LAYERS); what is not known of a path is drawn from the paths of which it is, else 0: it stays."""
    count = share.shape[1]
    order = np.argsort(np.isnan(share), axis=1, kind="stable")
    known = np.isfinite(share).sum(axis=1, keepdims=True)
    drawn = np.random.default_rng(0).permutation(count)[None, :, None] % np.maximum(known, 1)
    donor = np.take_along_axis(share, np.take_along_axis(order, drawn, axis=1), axis=1)
    return np.nan_to_num(np.where(np.isnan(share), donor, share))
