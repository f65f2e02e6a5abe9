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
from functools import lru_cache
from typing import NamedTuple

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
    def now(self) -> Floats:
        """(P,) GPUs to grow (+) or shrink (-) by at once: what is given back to be bought again is neither."""
        change: Floats = self.bought[:, 0] - self.released[:, 0]
        return change


class _Columns(NamedTuple):
    """Numbers of the programme's columns, in the shapes of `Purchases`."""

    bought: Ints
    released: Ints
    there: Ints
    waiting: Ints

    @property
    def size(self) -> int:
        return sum(part.size for part in self)


Matrix = tuple[NDArray[np.int32], NDArray[np.int32], Floats]  # where each row begins, columns, coefficients


def cheapest(offers: Sequence[Offer], demand: Floats, waiting_usd: float, edges_hours: Floats) -> Purchases | None:
    """The plan for (K, T) GPUs of demand in the steps between T + 1 edges; None where HiGHS finds no optimum."""
    columns = _columns(len(offers), *demand.shape)
    costs = _costs(offers, len(demand), waiting_usd, np.diff(edges_hours))
    upper = _upper(offers, columns, edges_hours)
    lower_rows = np.concatenate([_inflow(offers, edges_hours).ravel(), demand.ravel()])
    upper_rows = np.concatenate([_inflow(offers, edges_hours).ravel(), np.full(demand.size, np.inf)])
    matrix = _matrix(tuple(offer.lead_hours for offer in offers), len(demand), tuple(edges_hours.tolist()))
    solved = _solved(costs, upper, (lower_rows, upper_rows), matrix)
    if solved is None:
        return None
    values, usd = solved
    bought, released, there, waiting = (values[part] for part in columns)
    return Purchases(bought, released, there, waiting, usd)


def arrivals(lead_hours: float, edges_hours: Floats) -> Ints:
    """(T,) the step from whose beginning on can be used what is bought at the beginning of each; T: none."""
    return np.searchsorted(edges_hours[:-1], edges_hours[:-1] + lead_hours - 1e-9)


def _columns(pools: int, courses: int, steps: int) -> _Columns:
    shapes = ((pools, steps), (pools, steps), (pools, steps), (courses, steps))
    ends = np.cumsum([0, *(rows * steps for rows, _ in shapes)])
    return _Columns(
        *(np.arange(begin, end).reshape(shape) for begin, end, shape in zip(ends[:-1], ends[1:], shapes, strict=True))
    )


def _costs(offers: Sequence[Offer], courses: int, waiting_usd: float, hours: Floats) -> Floats:
    price = np.array([offer.price_usd_per_hour for offer in offers])
    bought = [offer.start_up_usd + A_TRIFLE_USD * (1 + rank) for rank, offer in enumerate(offers)]
    return np.concatenate(
        [
            np.repeat(bought, len(hours)),
            np.full(len(offers) * len(hours), A_TRIFLE_USD),
            np.outer(price, hours).ravel(),
            np.tile(waiting_usd / courses * hours, courses),
        ]
    )


def _upper(offers: Sequence[Offer], columns: _Columns, edges_hours: Floats) -> Floats:
    upper = np.full(columns.size, np.inf)
    upper[columns.released[:, 0]] = [offer.removable for offer in offers]
    for row, offer in enumerate(offers):
        upper[columns.there[row]] = max(offer.most, offer.there + offer.coming)
        upper[columns.bought[row, 0]] = max(0.0, offer.most - offer.there - offer.coming)
        late = arrivals(offer.lead_hours, edges_hours) == len(edges_hours) - 1
        upper[columns.bought[row, late]] = 0.0
    return upper


def _inflow(offers: Sequence[Offer], edges_hours: Floats) -> Floats:
    """(P, T) GPUs that come without being bought: what is there at first, and what is on its way."""
    inflow = np.zeros((len(offers), len(edges_hours) - 1))
    for row, offer in enumerate(offers):
        inflow[row, 0] += offer.there
        when = int(arrivals(offer.lead_hours, edges_hours)[0])
        if when < inflow.shape[1]:
            inflow[row, when] += offer.coming
    return inflow


@lru_cache(maxsize=64)
def _matrix(leads_hours: tuple[float, ...], courses: int, edges_hours: tuple[float, ...]) -> Matrix:
    """Of the rows that say what is there, then of those that say that it, or waiting, covers demand.

    The same at every look, as long as pools keep their lead times.
    """
    pools, steps = len(leads_hours), len(edges_hours) - 1
    columns = _columns(pools, courses, steps)
    stock = np.arange(pools * steps).reshape(pools, steps)
    cover = pools * steps + np.arange(courses * steps).reshape(courses, steps)
    parts = [
        (stock, columns.there, 1.0),
        (stock[:, 1:], columns.there[:, :-1], -1.0),
        (stock, columns.released, 1.0),
        (cover, columns.waiting, 1.0),
        *((cover, columns.there[row], 1.0) for row in range(pools)),
    ]
    for row, lead_hours in enumerate(leads_hours):
        when = arrivals(lead_hours, np.array(edges_hours))
        parts.append((stock[row][when[when < steps]], columns.bought[row][when < steps], -1.0))
    whole = [np.broadcast_arrays(*part) for part in parts]
    return for_reading(_by_rows(*(np.concatenate([part[at].ravel() for part in whole]) for at in range(3))))


def _by_rows(row: Ints, column: Ints, value: Floats) -> Matrix:
    order = np.argsort(row, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(row))])
    return start.astype(np.int32), column[order].astype(np.int32), value[order]


def _solved(costs: Floats, upper: Floats, rows: tuple[Floats, Floats], matrix: Matrix) -> tuple[Floats, float] | None:
    """The columns at the optimum and what it costs, by one thread."""
    import highspy

    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(costs), len(rows[0])
    model.col_cost_, model.col_lower_, model.col_upper_ = costs, np.zeros(len(costs)), upper
    model.row_lower_, model.row_upper_ = rows
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = matrix
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    for name, setting in (("output_flag", False), ("threads", 1), ("presolve", "off"), ("solver", "simplex")):
        solver.setOptionValue(name, setting)
    solver.passModel(model)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return np.array(solver.getSolution().col_value), float(solver.getObjectiveValue())
