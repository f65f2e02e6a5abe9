"""The cheapest purchases of GPUs over the hours to come: a linear programme, solved by HiGHS.

Of pool p, in step i of T: b bought at its beginning, usable after the lead time; r released at its beginning; c there.
On each of K equally likely courses of demand d, what is not there waits: w. Times of steps are h hours long.

    min   sum_pi  start_up_p b_pi + price_p h_i c_pi   +   waiting / K  sum_ki h_i w_ki
    s.t.  c_pi = c_p,i-1 - r_pi + (what was bought for i, and at first what is coming)
          sum_p c_pi + w_ki >= d_ki
          c_pi <= most_p,   b_p0 <= what the pool may still grow by,   r_p0 <= removable_p,   b, c, r, w >= 0

One capacity serves all courses, so with many of them each pool is bought to the quantile that its price and waiting
imply (the newsvendor's), in time for its lead time; with one course it is the plain certainty-equivalent plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import local
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.once import for_reading
from gyropilot.domain import Floats

Ints = NDArray[np.int64]

A_TRIFLE_USD = 1e-5
"""Per GPU turned: of plans that cost the same the one that does less, with the pools that come first."""


class Offer(NamedTuple):
    """What one pool has, and may be asked for."""

    there: float  # GPUs on ready nodes
    coming: float  # GPUs that are there after one lead time at the latest
    most: float  # GPUs that it may have
    removable: float  # GPUs that may go now
    lead_hours: float
    price_usd_per_hour: float
    start_up_usd: float  # per GPU bought


class Purchases(NamedTuple):
    """A plan: P pools, K courses of demand, T steps."""

    bought: Floats  # (P, T) GPUs asked for at the beginning of each step
    released: Floats  # (P, T)
    there: Floats  # (P, T)
    waiting: Floats  # (K, T)
    usd: float

    @property
    def now(self) -> list[float]:
        """(P,) GPUs to grow (+) or shrink (-) by at once: what is given back to be bought again is neither."""
        change: list[float] = (self.bought[:, 0] - self.released[:, 0]).tolist()
        return change


class _Columns(NamedTuple):
    """Numbers of the programme's columns, in the shapes of `Purchases`."""

    bought: Ints
    released: Ints
    there: Ints
    waiting: Ints


Matrix = tuple[NDArray[np.int32], NDArray[np.int32], Floats]  # where each row begins, columns, coefficients
Rows = tuple[Floats, Floats]  # the least and the most of each


def cheapest(offers: Sequence[Offer], demand: Floats, waiting_usd: float, edges_hours: Floats) -> Purchases | None:
    """The plan for (K, T) GPUs of demand in the steps between T + 1 edges; None where HiGHS finds no optimum."""
    from agents.pilots.compiled.purchases import bounds

    leads_hours = tuple([offer.lead_hours for offer in offers])
    frame = _frame(leads_hours, len(demand), tuple(edges_hours.tolist()))
    prices = tuple([(offer.start_up_usd, offer.price_usd_per_hour) for offer in offers])
    costs = _costs(frame, prices, waiting_usd)
    upper, least, most = bounds(np.array(offers, np.float64), frame.first, demand, frame.upper)
    found = solved(costs, upper, (least, most), frame.matrix)
    return None if found is None else frame.plan(*found)


def arrivals(lead_hours: float, edges_hours: Floats) -> Ints:
    """(T,) the step from whose beginning on can be used what is bought at the beginning of each; T: none."""
    return np.searchsorted(edges_hours[:-1], edges_hours[:-1] + lead_hours - 1e-9)


@dataclass(frozen=True, eq=False, slots=True)
class _Frame:
    """What of a programme follows from lead times and steps: the same at every look, as long as pools keep theirs.

    P pools, K courses, T steps.
    """

    pools: int
    courses: int
    hours: Floats  # (T,) of steps
    first: Ints  # (P,) the step in which comes what is asked for now, or came before; T: none
    upper: Floats  # of columns, what follows from no offer
    matrix: Matrix

    def plan(self, values: Floats, usd: float) -> Purchases:
        """What columns say."""
        steps, of_pools = len(self.hours), 3 * self.pools * len(self.hours)
        bought, released, there = values[:of_pools].reshape(3, self.pools, steps)
        return Purchases(bought, released, there, values[of_pools:].reshape(self.courses, steps), usd)


@lru_cache(maxsize=64)
def _frame(leads_hours: tuple[float, ...], courses: int, edges_hours: tuple[float, ...]) -> _Frame:
    pools, edges = len(leads_hours), np.array(edges_hours)
    columns = _columns(pools, courses, len(edges) - 1)
    when = [arrivals(lead, edges) for lead in leads_hours]
    upper = np.full((3 * pools + courses) * (len(edges) - 1), np.inf)
    for row, steps in enumerate(when):
        upper[columns.bought[row, steps == len(edges) - 1]] = 0.0
    first = np.array([steps[0] for steps in when])
    return _Frame(pools, courses, np.diff(edges), first, upper, _matrix(columns, when))


def _columns(pools: int, courses: int, steps: int) -> _Columns:
    shapes = ((pools, steps), (pools, steps), (pools, steps), (courses, steps))
    ends = np.cumsum([0, *(rows * steps for rows, _ in shapes)])
    return _Columns(
        *(np.arange(begin, end).reshape(shape) for begin, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True))
    )


@lru_cache(maxsize=64)
def _costs(frame: _Frame, prices: tuple[tuple[float, float], ...], waiting_usd: float) -> Floats:
    """Of columns, from what each pool's GPUs cost to start and by the hour."""
    bought = [start_up_usd + A_TRIFLE_USD * (1 + rank) for rank, (start_up_usd, _) in enumerate(prices)]
    costs = [
        np.repeat(bought, len(frame.hours)),
        np.full(len(prices) * len(frame.hours), A_TRIFLE_USD),
        np.outer([price for _, price in prices], frame.hours).ravel(),
        np.tile(waiting_usd / frame.courses * frame.hours, frame.courses),
    ]
    return for_reading(np.concatenate(costs))


def _matrix(columns: _Columns, when: Sequence[Ints]) -> Matrix:
    """Of the rows that say what is there, then of those that say that it, or waiting, covers demand.

    What is bought is there from the step on that `when` says, of each pool (T,).
    """
    (pools, steps), courses = columns.there.shape, len(columns.waiting)
    stock = np.arange(pools * steps).reshape(pools, steps)
    cover = pools * steps + np.arange(courses * steps).reshape(courses, steps)
    parts = [
        (stock, columns.there, 1.0),
        (stock[:, 1:], columns.there[:, :-1], -1.0),
        (stock, columns.released, 1.0),
        (cover, columns.waiting, 1.0),
        *((cover, columns.there[row], 1.0) for row in range(pools)),
    ]
    for row, comes in enumerate(when):
        parts.append((stock[row][comes[comes < steps]], columns.bought[row][comes < steps], -1.0))
    whole = [np.broadcast_arrays(*part) for part in parts]
    return for_reading(_by_rows(*(np.concatenate([part[at].ravel() for part in whole]) for at in range(3))))


def _by_rows(row: Ints, column: Ints, value: Floats) -> Matrix:
    order = np.argsort(row, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(row))])
    return start.astype(np.int32), column[order].astype(np.int32), value[order]


def solved(costs: Floats, upper: Floats, rows: Rows, matrix: Matrix) -> tuple[Floats, float] | None:
    """The columns at the optimum and what it costs, by one thread. What was solved before changes nothing."""
    import highspy

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(costs), len(rows[0])
    model.col_cost_, model.col_lower_, model.col_upper_ = costs, np.zeros(len(costs)), upper
    model.row_lower_, model.row_upper_ = rows
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = matrix
    solver = _solver()
    # One that it refuses, such as of demand without end, would leave the last one to be solved again.
    if solver.passModel(model) == highspy.HighsStatus.kError:
        return None
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return np.array(solver.getSolution().col_value), float(solver.getObjectiveValue())


_of_thread = local()


def _solver() -> Any:
    """One for each thread: to make one takes as long as a solution. It begins each programme from nothing."""
    if not hasattr(_of_thread, "solver"):
        import highspy

        _of_thread.solver = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, setting in (("output_flag", False), ("threads", 1), ("presolve", "off"), ("solver", "simplex")):
            _of_thread.solver.setOptionValue(name, setting)
    return _of_thread.solver
