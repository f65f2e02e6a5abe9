"""Scores against figures worked out by hand, and against integrals that are known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from forecasting.backtest.protocol import QUANTILES
from forecasting.backtest.tally import LEVELS, SCORES, WEIGHTS, Tally
from gyropilot.domain import Floats

ONE = np.array([1.0])


def said(*values: float) -> Floats:
    """(L, 1, Q): each line's value at every quantile."""
    return np.broadcast_to(np.array(values)[:, None, None], (len(values), 1, len(QUANTILES))).copy()


def scores(tally: Tally, model: int = 0) -> dict[str, float]:
    with np.errstate(invalid="ignore"):
        shares = tally.parts[model].sum(axis=0) / tally.wholes.sum(axis=0)
    return dict(zip(SCORES, shares.tolist(), strict=True))


def test_a_forecast_too_low_by_two_of_ten() -> None:
    tally = Tally.of(np.array([[10.0]]), [said(8.0)], np.array([4.0]))

    told = scores(tally)

    assert told["wql"] == pytest.approx(2 * 2 * 0.5 / 10)  # the mean level is .5
    assert told["p95_pinball"] == pytest.approx(2 * 0.95 * 2 / 10)
    assert told["p99_pinball"] == pytest.approx(2 * 0.99 * 2 / 10)
    assert told["crps"] == pytest.approx(2.0)  # of a certain forecast: its absolute error
    assert told["mase"] == pytest.approx(2 / 4)
    assert (told["coverage80"], told["coverage95"]) == (0.0, 0.0)


def test_a_forecast_too_high_costs_little_at_the_tail() -> None:
    told = scores(Tally.of(np.array([[10.0]]), [said(12.0)], ONE))

    assert told["p95_pinball"] == pytest.approx(2 * 0.05 * 2 / 10)
    assert told["p99_pinball"] == pytest.approx(2 * 0.01 * 2 / 10)


def test_losses_are_summed_over_lines_before_they_are_divided() -> None:
    tally = Tally.of(np.array([[90.0], [10.0]]), [said(90.0, 0.0)], np.array([1.0, 1.0]))

    assert scores(tally)["wql"] == pytest.approx(2 * 10 * 0.5 / 100)
    assert tally.loss[0].ravel() == pytest.approx([0.0, 10.0])
    assert tally.demand.ravel().tolist() == [90.0, 10.0]


def test_crps_is_that_of_the_whole_distribution() -> None:
    normal = NormalDist(100, 10)
    table = np.array([[[normal.inv_cdf(q) for q in QUANTILES]]])

    told = scores(Tally.of(np.array([[105.0]]), [table], ONE))

    z = 0.5
    exact = 10 * (z * (2 * NormalDist().cdf(z) - 1) + 2 * NormalDist().pdf(z) - 1 / np.sqrt(np.pi))
    assert told["crps"] == pytest.approx(exact, rel=0.02)


def test_the_weights_of_crps_stand_for_all_levels() -> None:
    assert WEIGHTS[:, 3].sum() == pytest.approx(2.0)
    assert WEIGHTS[:, 0].sum() == pytest.approx(2.0)


def test_an_outcome_on_the_edge_lies_within_though_its_mean_was_rounded() -> None:
    came = np.array([[sum([0.1] * 3) / 3]])  # 0.10000000000000002

    tally = Tally.of(came, [said(0.1)], ONE)

    assert scores(tally)["coverage80"] == 1.0
    assert tally.below[0, 0].tolist() == [0.5] * len(QUANTILES)


def test_coverage_counts_both_ends_of_the_central_interval() -> None:
    table = (100 * LEVELS)[None, None, :] * np.ones((4, 1, 1))

    tally = Tally.of(np.array([[10.0], [89.0], [96.0], [99.0]]), [table], np.ones(4))

    assert scores(tally)["coverage80"] == 2 / 4
    assert scores(tally)["coverage95"] == 3 / 4


def test_what_one_model_does_not_answer_counts_for_none() -> None:
    silent = said(8.0, 8.0)
    silent[1] = np.nan

    tally = Tally.of(np.array([[10.0], [20.0]]), [said(8.0, 8.0), silent], np.ones(2))

    assert tally.wholes[0, 0] == 10.0
    assert (tally.lines.tolist(), tally.left_out.tolist()) == ([1], [1])
    assert scores(tally, 0) == scores(tally, 1)


def test_what_is_not_known_is_not_scored() -> None:
    tally = Tally.of(np.array([[10.0], [np.nan]]), [said(8.0, 8.0)], np.ones(2))

    assert (tally.lines.tolist(), tally.left_out.tolist()) == ([1], [0])


def test_a_line_without_a_scale_is_left_out_of_mase_alone() -> None:
    tally = Tally.of(np.array([[10.0], [10.0]]), [said(8.0, 9.0)], np.array([np.nan, 2.0]))

    assert scores(tally)["mase"] == pytest.approx(1 / 2)
    assert scores(tally)["crps"] == pytest.approx(1.5)
