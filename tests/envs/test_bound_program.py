"""Linear programmes: what is told of their optimum is proven by prices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from envs.bound_program import Program
from envs.workloads import Floats


def some_programme(seed: int) -> tuple[Program, float]:
    """Six columns between bounds, four rows that some solution obeys; and its optimum, by another solver."""
    rng = np.random.default_rng(seed)
    costs, upper, matrix = rng.normal(size=6), rng.uniform(0.5, 2.0, 6), rng.normal(size=(4, 6))
    within = matrix @ (upper * rng.random(6))
    least = np.where(rng.random(4) < 0.3, -np.inf, within - rng.random(4))
    program = Program()
    columns, rows = program.add_columns((6,), costs, 0.0, upper), program.add_rows((4,), least, within + 0.1)
    program.put(rows[:, None], columns, matrix)
    finite = np.isfinite(least)
    both = np.vstack([matrix, -matrix[finite]])
    found = linprog(costs, both, np.concatenate([within + 0.1, -least[finite]]), bounds=np.stack([0 * upper, upper]).T)
    return program, float(found.fun)


@given(st.integers(0, 10_000), st.booleans())
def test_the_optimum_is_told_and_never_more(seed: int, interior: bool) -> None:
    program, optimum = some_programme(seed)

    found = program.solve(10.0, interior=interior)

    assert found.cost == pytest.approx(optimum, abs=1e-6)
    assert found.cost <= optimum + 1e-9


@given(st.integers(0, 10_000), st.lists(st.floats(-10, 10), min_size=4, max_size=4))
def test_no_prices_of_rows_prove_more_than_the_optimum(seed: int, prices: list[float]) -> None:
    program, optimum = some_programme(seed)

    assert program.proven(np.array(prices)) <= optimum + 1e-9


def test_prices_of_rows_that_have_no_such_bound_prove_nothing() -> None:
    program = Program()
    column = program.add_columns((1,), 1.0, 2.0, 3.0)
    program.put(program.add_rows((1,), upper=5.0), column, 1.0)
    wrong: Floats = np.array([4.0])  # a row that is at most 5 has no price above zero

    assert program.proven(wrong) == 2.0
    assert program.proven(-wrong) == -4.0 * 5.0 + (1.0 + 4.0) * 2.0


def test_prices_that_make_an_endless_column_pay_prove_nothing() -> None:
    program = Program()
    program.put(program.add_rows((1,), lower=1.0), program.add_columns((1,), 1.0), 1.0)
    dear: Floats = np.array([5.0])  # more than the column costs

    assert program.proven(dear) == -np.inf
    assert program.proven(dear / 5) == 1.0
