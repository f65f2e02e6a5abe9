"""Totals of cohorts: coherent with the queues that are shown, and as sure as queues that move together allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecasting.check import gangs
from forecasting.cohorts import copula_of, with_cohorts
from forecasting.forecast import forecast, outlook
from forecasting.forecasters.naive import Naive
from forecasting.foretold import Foretold
from forecasting.mixture.copula import Copula
from forecasting.mixture.ensemble import Ensemble
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line
from gyropilot.settings import ForecastSettings
from tests.fakes import GPU, NOW, history

SETTINGS = ForecastSettings(model="naive", quantiles=(0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99))
TOTAL, LABS = Line(ALL_QUEUES, GPU), Line("labs", GPU)
MIG = "nvidia.com/mig-1g.10gb"
TWO = {"research": "labs", "language": "labs"}


def _noise(seed: int) -> list[float]:
    drawn: list[float] = np.random.default_rng(seed).uniform(0, 100, 12 * 24 * 8).round().tolist()
    return drawn


def _told(seen: DemandHistory) -> Foretold:
    """By a naive forecaster, whom it does not matter for how queues move together."""
    whole = seen.with_totals()
    model = Naive().fit(whole)
    return Foretold(whole, forecast(model, whole, SETTINGS, NOW), outlook(model, whole, SETTINGS, NOW), None)


def _with(seen: DemandHistory, cohort_of: Mapping[str, str]) -> Foretold:
    return with_cohorts(_told(seen), cohort_of, Copula.of(seen))


def _three(language: list[float] | None = None) -> DemandHistory:
    """Two queues that go up and down for themselves, and a third."""
    return history({"research": _noise(0), "language": language or _noise(1), "vision": _noise(2)})


def _cohorts(found: Foretold) -> Foretold:
    assert found.cohorts is not None
    return found.cohorts.totals


def _at(found: Foretold, line: Line, quantile: float) -> Floats:
    """(14 + 6,) GPUs at each horizon of the day and of the week."""
    at = SETTINGS.quantiles.index(quantile)
    return np.concatenate([found.demand.of(line)[:, at], found.outlook.of(line)[:, at]])


def test_a_cohort_of_one_queue_is_forecast_as_that_queue() -> None:
    found = _with(_three(), {"vision": "products"})

    for mine, told in ((_cohorts(found).demand, found.demand), (_cohorts(found).outlook, found.outlook)):
        np.testing.assert_array_equal(mine.of(Line("products", GPU)), told.of(Line("vision", GPU)))


def test_the_only_queue_of_a_cluster_is_its_own_cohort() -> None:
    found = _with(history({"research": _noise(0)}), {"research": "labs"})

    np.testing.assert_array_equal(_cohorts(found).demand.of(LABS), found.demand.of(Line("research", GPU)))


def test_the_median_of_a_cohort_lies_between_the_quartiles_of_its_queues() -> None:
    found = _with(_three(), TWO)

    low, high = (sum(_at(found, Line(q, GPU), level) for q in TWO) for level in (0.25, 0.75))
    median = _at(_cohorts(found), LABS, 0.5)
    assert len(median) == 20
    assert (low < median).all()
    assert (median < high).all()


def test_queues_that_move_for_themselves_are_surer_together_than_the_sum_of_their_quantiles() -> None:
    found = _with(_three(), TWO)

    own = _at(_cohorts(found), LABS, 0.95) - _at(_cohorts(found), LABS, 0.05)
    apart = sum(_at(found, Line(q, GPU), 0.95) - _at(found, Line(q, GPU), 0.05) for q in TWO)
    assert (own < 0.85 * apart).all()


def test_queues_that_move_as_one_are_no_surer_together() -> None:
    found = _with(_three(language=_noise(0)), TWO)

    own = _at(_cohorts(found), LABS, 0.95) - _at(_cohorts(found), LABS, 0.05)
    apart = sum(_at(found, Line(q, GPU), 0.95) - _at(found, Line(q, GPU), 0.05) for q in TWO)
    np.testing.assert_allclose(own, apart, rtol=0.02)


def test_a_cohort_follows_the_queues_that_are_shown() -> None:
    seen, told = _three(), _told(_three())
    doubled = replace(
        told,
        demand=replace(told.demand, gpus=2 * told.demand.gpus),
        outlook=replace(told.outlook, gpus=2 * told.outlook.gpus),
    )

    before, after = (_cohorts(with_cohorts(one, TWO, Copula.of(seen))) for one in (told, doubled))

    np.testing.assert_allclose(after.demand.gpus, 2 * before.demand.gpus)
    np.testing.assert_allclose(after.outlook.gpus, 2 * before.outlook.gpus)


def test_a_cohort_of_all_queues_is_the_total_that_is_shown() -> None:
    found = _with(_three(), dict.fromkeys(("research", "language", "vision"), "all"))

    np.testing.assert_array_equal(_cohorts(found).demand.of(Line("all", GPU)), found.demand.of(TOTAL))
    np.testing.assert_array_equal(_cohorts(found).outlook.of(Line("all", GPU)), found.outlook.of(TOTAL))


def test_each_resource_of_a_cohort_has_its_own_total() -> None:
    seen = _three()
    sliced = DemandHistory((*seen.lines[:2], Line("research", MIG)), seen.times, seen.running, seen.pending)
    found = _with(sliced, {"research": "labs"})

    assert set(_cohorts(found).demand.lines) == {LABS, Line("labs", MIG)}
    for resource in (GPU, MIG):
        own, queue = Line("labs", resource), Line("research", resource)
        np.testing.assert_array_equal(_cohorts(found).demand.of(own), found.demand.of(queue))


def test_it_is_told_which_queues_are_added_up() -> None:
    found = _with(_three(), {**TWO, "vision": "products", "gone": "products"})

    assert found.cohorts is not None
    assert found.cohorts.queues == {LABS: ("language", "research"), Line("products", GPU): ("vision",)}


def test_what_a_cohort_demanded_is_the_sum_of_its_queues_and_a_gap_is_no_zero() -> None:
    seen = history({"research": [8.0] * 200, "language": [4.0] * 200, "vision": [1.0] * 200})
    at = seen.lines.index(Line("language", GPU))
    seen.running[at, -1] = np.nan
    seen.running[:, 50] = np.nan

    told = _cohorts(_with(seen, TWO)).history.of(LABS)

    assert told[-1] == 12.0
    assert np.flatnonzero(np.isnan(told)).tolist() == [50]
    assert (told[np.isfinite(told)] == 12.0).all()


@pytest.mark.parametrize("cohort_of", [{}, {"somebody": "else"}])
def test_where_no_queue_is_in_a_cohort_nothing_is_said_of_any(cohort_of: dict[str, str]) -> None:
    told = _told(_three())

    for copula in (Copula.of(_three()), None):
        assert with_cohorts(told, cohort_of, copula) is told


def test_a_forecaster_that_does_not_know_how_queues_move_together_leaves_cohorts_out_and_says_so() -> None:
    found = with_cohorts(_told(_three()), TWO, copula_of(Naive()))

    assert found.cohorts is None
    assert found.notes == (
        "totals of cohorts are left out: naive does not know how queues move together; gyropilot does (forecast.model)",
    )


def test_the_mixture_knows_how_queues_move_together_once_it_is_fitted() -> None:
    seen = gangs(3, 24, timedelta(hours=1))

    assert copula_of(Ensemble()) is None
    fitted = copula_of(Ensemble().fit(seen))
    assert fitted is not None
    assert fitted.lines == seen.lines


def test_one_queue_alone_has_no_cohorts() -> None:
    assert _with(_three(), TWO).of_queue("research").cohorts is None
