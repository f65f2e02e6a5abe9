from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting import store
from forecasting.check import gangs
from forecasting.losses import coverage
from forecasting.mixture.copula import MOMENTS, Copula, blended, parts
from forecasting.windows import means_after
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError
from tests.fakes import GPU, history

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SOON, TOMORROW = Window(20 * MINUTE, 30 * MINUTE), Window(23 * HOUR, 24 * HOUR)
RESEARCH, PROD, TOTAL = Line("research", GPU), Line("prod", GPU), Line(ALL_QUEUES, GPU)
LEVELS = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
EVEN = 100 * np.array(LEVELS)
"""Quantiles of a queue that demands anything from 0 to 100 GPUs alike."""

TWO_EVEN = np.array([14.1, 44.7, 70.7, 100.0, 129.3, 155.3, 185.9])
"""Of the sum of two such queues that are independent: 100 sqrt(2 q), and the same from above."""


def _noise(seed: int, count: int = 4_000) -> Floats:
    return np.random.default_rng(seed).uniform(0, 100, count)


def _fitted(demand: Mapping[str, Sequence[float] | Floats]) -> Copula:
    return Copula.of(history({name: np.asarray(row).tolist() for name, row in demand.items()}))


def _total(copula: Copula, lines: Sequence[Line], window: Window = SOON, queue: Floats = EVEN) -> Floats:
    """Of lines that are all forecast as `queue` (Q,)."""
    table = np.tile(queue, (len(lines), 1, 1))
    total: Floats = copula.totals(lines, table, [window], LEVELS)[TOTAL][0]
    return total


def test_queues_that_move_as_one_add_up_quantile_by_quantile() -> None:
    demand = _noise(0)

    total = _total(_fitted({"research": demand, "prod": 2 * demand + 7}), [RESEARCH, PROD])

    np.testing.assert_allclose(total, 2 * EVEN, atol=0.3)


def test_opposed_queues_cancel_out() -> None:
    demand = _noise(0)

    total = _total(_fitted({"research": demand, "prod": 100 - demand}), [RESEARCH, PROD])

    np.testing.assert_allclose(total, 100.0, atol=1e-9)


def test_independent_queues_add_up_to_less_than_either_extreme() -> None:
    total = _total(_fitted({"research": _noise(0), "prod": _noise(1)}), [RESEARCH, PROD])

    np.testing.assert_allclose(total, TWO_EVEN, atol=9.0)


def test_queues_are_told_to_move_as_they_do_at_that_lead() -> None:
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 20, 9_000)
    apart = {name: 500 + np.cumsum(rng.normal(0, 2, 9_000)) + shared for name in ("research", "prod")}
    copula = _fitted(apart)

    now, tomorrow = (np.ptp(_total(copula, [RESEARCH, PROD], window)) for window in (SOON, TOMORROW))

    assert now > 0.93 * np.ptp(2 * EVEN)
    assert tomorrow < 0.93 * np.ptp(2 * EVEN)
    assert tomorrow == pytest.approx(np.ptp(TWO_EVEN), rel=0.1)


def test_that_high_demand_falls_is_no_surprise() -> None:
    both = 200.0 * (np.arange(9_000) % 2)  # up and down together, which a mean over an hour does not show
    own = [np.repeat(_noise(seed, 750), 12) for seed in (3, 4)]

    total = _total(_fitted({"research": own[0] + both, "prod": own[1] + both}), [RESEARCH, PROD], TOMORROW)

    np.testing.assert_allclose(total, TWO_EVEN, atol=9.0)


def test_queues_that_never_move_are_independent() -> None:
    still = {str(i): np.full(4_000, 8.0) for i in range(12)}

    correlation = np.corrcoef(_fitted(still).ranks[0].astype(float))

    assert np.abs(correlation[np.triu_indices(12, 1)]).max() < 4 / np.sqrt(MOMENTS)


@pytest.mark.parametrize("copula", [Copula.of(DemandHistory.empty()), _fitted({"research": _noise(0)})])
def test_a_single_queue_is_its_own_total(copula: Copula) -> None:
    table = np.array([[[0.0, 1.0, 8.0], [3.0, 3.0, 64.0]]])

    total = copula.totals([RESEARCH], table, [SOON, TOMORROW], (0.1, 0.5, 0.95))[TOTAL]

    np.testing.assert_array_equal(total, table[0])


def test_the_order_of_lines_changes_nothing() -> None:
    seen = gangs(6)
    turned = DemandHistory(seen.lines[::-1], seen.times, seen.running[::-1], seen.pending[::-1])
    table = np.sort(np.random.default_rng(0).exponential(8, (7, 2, len(LEVELS))), axis=-1)
    lines = (*seen.lines, Line("new", "nvidia.com/gpu"))

    straight = Copula.of(seen).totals(lines, table, [SOON, TOMORROW], LEVELS)[TOTAL]
    other = Copula.of(turned).totals(lines[::-1], table[::-1], [SOON, TOMORROW], LEVELS)[TOTAL]

    np.testing.assert_allclose(straight, other, atol=1e-9)


def test_new_queues_move_for_themselves() -> None:
    copula = _fitted({"research": _noise(0)})

    total = _total(copula, [RESEARCH, PROD])

    np.testing.assert_allclose(total, TWO_EVEN, atol=9.0)
    np.testing.assert_array_equal(total, _total(copula, [PROD, RESEARCH]))


def test_a_queue_that_was_never_seen_moves_for_itself() -> None:
    total = _total(_fitted({"research": _noise(0), "prod": np.full(4_000, np.nan)}), [RESEARCH, PROD])

    np.testing.assert_allclose(total, TWO_EVEN, atol=9.0)


def test_where_one_was_not_seen_is_filled_by_chance() -> None:
    demand = _noise(0)
    gaps = np.where(np.arange(4_000) % 1_000 < 500, demand, np.nan)
    copula = _fitted({"research": demand, "prod": gaps})

    apart = np.abs(np.diff(copula.ranks[1].astype(float), axis=0))

    assert sorted(copula.ranks[1, 1].tolist()) == list(range(MOMENTS))
    assert np.mean(apart < MOMENTS / 10) == pytest.approx(0.6, abs=0.1)  # half as it was, and a fifth of the rest


def test_totals_are_neither_learnt_from_nor_summed_up() -> None:
    seen = history({"research": _noise(0).tolist(), "prod": _noise(1).tolist()})
    copula = Copula.of(seen.with_totals())
    lines = (RESEARCH, PROD, TOTAL)

    assert copula.lines == (RESEARCH, PROD)
    np.testing.assert_array_equal(_total(copula, lines), _total(Copula.of(seen), lines[:2]))


def test_each_resource_has_its_own_total() -> None:
    slices = Line("research", "nvidia.com/mig-1g.10gb")
    table = np.array([[[8.0, 16.0]], [[1.0, 2.0]]])

    totals = Copula.of(DemandHistory.empty()).totals([RESEARCH, slices], table, [SOON], (0.5, 0.9))

    assert {line: total.tolist() for line, total in totals.items()} == {
        TOTAL: [[8.0, 16.0]],
        Line(ALL_QUEUES, slices.resource): [[1.0, 2.0]],
    }


def test_cohorts_are_summed_up_by_the_same_rule() -> None:
    demand = _noise(0)
    copula = _fitted({"research": demand, "prod": demand, "batch": 100 - demand})
    lines = [RESEARCH, PROD, Line("batch", GPU)]
    groups = {"all": lines, "alike": lines[:2], "opposed": lines[1:], "none": []}

    sums = copula.sums_of(groups, lines, np.tile(EVEN, (3, 1, 1)), [SOON], LEVELS)

    np.testing.assert_array_equal(sums["all"][0], _total(copula, lines))
    np.testing.assert_allclose(sums["alike"][0], 2 * EVEN, atol=0.3)
    np.testing.assert_allclose(sums["opposed"][0], 100.0, atol=1e-9)
    assert sums["none"].tolist() == [[0.0] * len(LEVELS)]


def test_a_queue_without_a_forecast_is_not_left_out_of_a_sum() -> None:
    with pytest.raises(ForecastError, match=r"prod .* was not forecast"):
        Copula.of(DemandHistory.empty()).sums_of(
            {"all": [RESEARCH, PROD]}, [RESEARCH], EVEN[None, None], [SOON], LEVELS
        )


@pytest.mark.parametrize(
    ("step", "steps", "leads"),
    [
        (5 * MINUTE, 12 * 24 * 8, 10),
        (5 * MINUTE, 12 * 8, 3),  # eight hours hold one of an hour seven times
        (5 * MINUTE, 12, 0),
        (HOUR, 24 * 8, 8),  # ten and thirty minutes are within a step
        (24 * HOUR, 30, 1),
    ],
)
def test_a_lead_is_measured_where_the_past_holds_it_a_few_times(step: timedelta, steps: int, leads: int) -> None:
    copula = Copula.of(gangs(3, steps, step))

    assert len(copula.lines and copula.references) == leads
    assert _total(copula, [RESEARCH, PROD], TOMORROW)[-1] < 198.0


def test_nothing_forecast_adds_up_to_nothing() -> None:
    copula = _fitted({"research": _noise(0), "prod": _noise(1)})

    assert copula.totals([], np.empty((0, 1, 2)), [SOON], (0.1, 0.9)) == {}
    assert copula.totals([RESEARCH, PROD], np.empty((2, 0, 2)), [], (0.1, 0.9))[TOTAL].shape == (0, 2)


MANY = Copula.of(gangs(6))


@settings(deadline=None)
@given(
    sizes=st.lists(st.floats(0, 1e6), min_size=1, max_size=9),
    quantiles=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6, unique=True).map(sorted),
    end_min=st.integers(0, 10_080),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_total_is_ascending_and_between_the_sums_of_the_outermost(
    sizes: list[float], quantiles: list[float], end_min: int, seed: int
) -> None:
    shape = (len(sizes), 1, len(quantiles))
    table = np.sort(np.random.default_rng(seed).exponential(1, shape) * np.array(sizes)[:, None, None], axis=-1)
    lines = [Line(f"queue-{i}", GPU) for i in range(len(sizes))]

    total = MANY.totals(lines, table, [Window(timedelta(0), end_min * MINUTE)], quantiles)[TOTAL][0]

    least, most = table.sum(axis=0)[0, [0, -1]]
    assert (np.diff(total) >= 0).all()
    assert least <= total[0]
    assert total[-1] <= most


def test_beyond_the_outermost_quantile_a_queue_goes_on_as_steeply_for_as_far_again() -> None:
    asked = parts((0.1, 0.2, 0.5, 0.9), (0.0, 0.05, 0.1, 0.35, 0.9, 0.95, 1.0)) @ [10.0, 20.0, 20.0, 60.0]

    np.testing.assert_allclose(asked, [0.0, 5.0, 10.0, 20.0, 60.0, 65.0, 70.0])
    assert parts((0.5, 0.6), (0.0, 1.0)) @ [1.0, 2.0] == pytest.approx([0.0, 3.0])
    assert parts((0.5,), (0.0, 1.0)).tolist() == [[1.0], [1.0]]


def test_a_blend_is_midway_between_both_forecasts() -> None:
    direct, joint = np.array([[1.0, 2.0, 9.0]]), np.array([[3.0, 4.0, 5.0]])

    assert blended(direct, joint).tolist() == [[2.0, 3.0, 7.0]]


def test_is_restored_from_a_file(tmp_path: Path) -> None:
    store.save(MANY.state(), tmp_path / "copula.npz")

    again = Copula.restored(store.load(tmp_path / "copula.npz"))

    assert again.lines == MANY.lines
    assert again.references == MANY.references
    assert again.ranks.dtype == np.uint16
    np.testing.assert_array_equal(again.ranks, MANY.ranks)


@pytest.mark.parametrize("ranks", [MANY.ranks.astype(np.float64), MANY.ranks[:, 1:], MANY.ranks + np.uint16(1), None])
def test_ranks_that_fit_no_line_are_refused(ranks: object) -> None:
    with pytest.raises(ForecastError, match="no ranks of 6 lines"):
        Copula.restored({**MANY.state(), "ranks": ranks})


def test_totals_of_gangs_that_come_together_are_calibrated() -> None:
    seen, train = _campaigns(queues=8, steps=36_000), 12_000
    known = DemandHistory(seen.lines, seen.times[:train], seen.running[:, :train], seen.pending[:, :train])
    past, future = (np.arange(first, last, 13) for first, last in ((0, train - 160), (train, 36_000 - 160)))
    # What came before tells nothing of what runs a day later: the honest forecast is what is usual.
    table = np.quantile(means_after(known, past, TOMORROW), LEVELS, axis=1).T[:, None]
    actual = means_after(seen, future, TOMORROW).sum(axis=0)
    low, high = LEVELS.index(0.1), LEVELS.index(0.9)

    def covered(total: Floats) -> float:
        return coverage(actual, np.full_like(actual, total[low]), np.full_like(actual, total[high]))

    joint, apart = (c.totals(seen.lines, table, [TOMORROW], LEVELS)[TOTAL][0] for c in (Copula.of(known), _ALONE))

    assert 0.76 < covered(joint) < 0.84
    assert covered(table.sum(axis=0)[0]) > 0.88
    assert covered(apart) < 0.72


_ALONE = Copula.of(DemandHistory.empty())


def _campaigns(queues: int, steps: int) -> DemandHistory:
    """Each step a gang may come to a queue, or a campaign to half of them; they stay for three hours or so."""
    rng = np.random.default_rng(5)
    change = np.zeros((queues, steps + 1))
    for step in range(steps):
        joined = rng.random(queues) < (rng.random() < 0.04) * 0.5
        for queue in np.flatnonzero(joined | (rng.random(queues) < 0.02)):
            gpus, end = rng.uniform(1, 16), step + 1 + int(rng.exponential(18))
            change[queue, step] += gpus
            change[queue, min(end, steps)] -= gpus
    return history({f"queue-{i}": row.tolist() for i, row in enumerate(np.cumsum(change, axis=1)[:, :-1])}, 10 * MINUTE)


def test_totals_of_a_thousand_queues_take_a_moment() -> None:
    seen = gangs(4, 2_000, 5 * MINUTE)
    lines = tuple(Line(f"queue-{i}", GPU) for i in range(1_000))
    running = np.tile(seen.running, (250, 1))
    copula = Copula.of(DemandHistory(lines, seen.times, running, np.zeros_like(running)))
    table = np.sort(np.random.default_rng(0).exponential(8, (1_000, 14, 13)), axis=-1)
    windows = [Window.step(hours * HOUR, 5 * MINUTE) for hours in range(1, 15)]

    began = perf_counter()
    copula.totals(lines, table, windows, np.linspace(0.01, 0.99, 13).tolist())

    assert perf_counter() - began < 0.5  # an idle machine takes a tenth of that
