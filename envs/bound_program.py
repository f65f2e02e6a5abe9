"""A linear programme, put together from blocks of columns and rows, and solved by HiGHS.

What it costs is told by the prices of rows, not by the columns: whatever prices y a solver comes back with, no solution
costs less than y times the rows' bounds plus, for each column, its reduced cost times the bound that this prefers
(Neumaier and Shcherbina, 2004). So a solver that stops near the optimum never tells more than the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.workloads import Floats, Ints
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    from highspy import HighsLp

INFINITE = np.inf
INTERIOR: dict[str, bool | float | str] = {"solver": "ipm", "run_crossover": "off"}
"""HiGHS' options for `solve`."""

ROUNDING = 1e-6
"""USD, of a column's reduced cost; HiGHS takes a tenth of it for zero."""


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """Of one programme."""

    values: Floats  # (columns,)
    row_prices: Floats  # (rows,) by how much the optimum rises with the bound of a row
    cost: float  # that no solution is below
    seconds: float  # that the solver took


@dataclass(slots=True)
class Program:
    """Minimise cost over columns within their bounds, such that each row's sum lies within its own."""

    _costs: list[Floats] = field(default_factory=list)
    _column_bounds: list[Floats] = field(default_factory=list)  # (2, n)
    _row_bounds: list[Floats] = field(default_factory=list)
    _entries: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)  # row, column, coefficient
    columns: int = 0
    rows: int = 0

    def add_columns(
        self, shape: tuple[int, ...], cost: ArrayLike = 0.0, lower: ArrayLike = 0.0, upper: ArrayLike = INFINITE
    ) -> Ints:
        """Their numbers, in this shape; costs and bounds are broadcast to it."""
        self._costs.append(_flat(cost, shape))
        self._column_bounds.append(np.stack([_flat(lower, shape), _flat(upper, shape)]))
        numbers = self.columns + np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
        self.columns += numbers.size
        return numbers

    def add_rows(self, shape: tuple[int, ...], lower: ArrayLike = -INFINITE, upper: ArrayLike = INFINITE) -> Ints:
        """Their numbers, in this shape, without entries as yet."""
        self._row_bounds.append(np.stack([_flat(lower, shape), _flat(upper, shape)]))
        numbers = self.rows + np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
        self.rows += numbers.size
        return numbers

    def put(self, rows: ArrayLike, columns: ArrayLike, coefficient: ArrayLike) -> None:
        """Entries, broadcast to each other; no row may be given the same column twice."""
        where = np.broadcast_arrays(np.asarray(rows), np.asarray(columns), np.asarray(coefficient, dtype=np.float64))
        row, column, value = (part.ravel() for part in where)
        self._entries.append((row, column, value))

    def solve(self, time_limit_s: float, *, interior: bool = False) -> Solution:
        """The optimum, by one thread. Raises SettingsError where there is none, or not within that time.

        `interior` goes through the inside of what is possible, not along its edges, and stops a millionth of a percent
        before the optimum: some programmes take a twentieth of the time that way, others several times as long.
        """
        import highspy

        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        options: dict[str, bool | float | str] = {"output_flag": False, "threads": 1, "time_limit": float(time_limit_s)}
        for name, value in (options | INTERIOR if interior else options).items():
            solver.setOptionValue(name, value)
        solver.passModel(self._model())
        solver.run()
        status = solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SettingsError(
                f"HiGHS found no optimum of {self.columns:,} columns and {self.rows:,} rows "
                f"({solver.modelStatusToString(status)}) within {time_limit_s:g} s; "
                "give more time, fewer or longer steps, or pools that can serve the demand"
            )
        found = solver.getSolution()
        values, prices = np.array(found.col_value), np.array(found.row_dual)
        cost = self.proven(prices)
        if not np.isfinite(cost):
            raise SettingsError("HiGHS' prices prove no optimum, which its rounding spoilt; give fewer or longer steps")
        return Solution(values, prices, cost, float(solver.getRunTime()))

    def proven(self, row_prices: Floats) -> float:
        """What no solution costs less than, by prices of rows; minus infinity where these prove nothing.

        A column without an upper bound whose reduced cost is below zero by no more than ROUNDING counts as if it were
        zero: that is as exact as the solver's own optimum.
        """
        start, row, value = self._matrix()
        lower, upper = np.concatenate(self._row_bounds, axis=1)
        prices = np.where(np.isfinite(np.where(row_prices > 0, lower, upper)), row_prices, 0.0)
        column = np.repeat(np.arange(self.columns), np.diff(start))
        reduced = np.concatenate(self._costs) - np.bincount(column, value * prices[row], self.columns)
        return _least(prices, lower, upper) + _least(reduced, *np.concatenate(self._column_bounds, axis=1))

    def _model(self) -> HighsLp:
        """As HiGHS takes it at once: the matrix by columns."""
        import highspy

        start, row, value = self._matrix()
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self.columns, self.rows
        model.col_cost_ = np.concatenate(self._costs)
        model.col_lower_, model.col_upper_ = np.concatenate(self._column_bounds, axis=1)
        model.row_lower_, model.row_upper_ = np.concatenate(self._row_bounds, axis=1)
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = start, row, value
        return model

    def _matrix(self) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """Where each column begins, the row of each entry, and its value."""
        row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        order = np.argsort(column, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=self.columns))])
        return start.astype(np.int32), row[order].astype(np.int32), value[order]


def _flat(values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    return np.broadcast_to(np.asarray(values, dtype=np.float64), shape).ravel()


def _least(prices: Floats, lower: Floats, upper: Floats) -> float:
    """The sum of what each costs least between its bounds."""
    at = np.where(prices > 0, lower, upper)
    endless = ~np.isfinite(at)
    if (np.abs(prices[endless]) > ROUNDING).any():
        return -INFINITE
    return float((prices * np.where(endless, 0.0, at)).sum())
