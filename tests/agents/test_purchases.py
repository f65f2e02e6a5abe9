"""The programme against brute force, and what it must know: lead times, limits, prices, courses."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from agents.pilots.purchases import Offer, Purchases, arrivals, cheapest
from gyropilot.domain import Floats

HOURLY: Floats = np.array([0.0, 1.0, 2.0, 3.0])
FREE = Offer(8, 0, 8, 0, 1.0, 0.0, 0.0)  # eight GPUs that are paid for, and no more of them
BOUGHT = Offer(0, 0, 99, 0, 1.0, 2.0, 0.5)  # GPUs that come after an hour, at 2 USD an hour and 0.5 USD to start


def solved(offers: list[Offer], demand: list[list[float]], waiting_usd: float = 10.0) -> Purchases:
    plan = cheapest(offers, np.array(demand), waiting_usd, HOURLY[: len(demand[0]) + 1])
    assert plan is not None
    return plan


def brute_force(offer: Offer, demand: list[list[float]], waiting_usd: float) -> float:
    """The least cost over all whole purchases and removals of up to 3 GPUs in each of three steps of an hour."""
    least = np.inf
    for bought in product(range(4), repeat=2):  # what is bought in the last step comes too late
        for gone in product(range(4), repeat=3):
            there = offer.there + np.cumsum([0, bought[0], bought[1]]) - np.cumsum(gone)
            at_once = gone[0] <= offer.removable and bought[0] <= offer.most - offer.there
            if not at_once or (there < 0).any() or (there > offer.most).any():
                continue
            waits = np.maximum(0.0, np.array(demand) - there).sum(axis=1).mean()
            paid = offer.start_up_usd * sum(bought) + offer.price_usd_per_hour * there.sum() + waiting_usd * waits
            least = min(least, float(paid))
    return least


@pytest.mark.parametrize("seed", range(6))
def test_costs_what_the_best_of_all_plans_costs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    offer = Offer(2, 0, 4, int(rng.integers(0, 3)), 1.0, float(rng.integers(1, 6)), float(rng.integers(0, 4)))
    demand = rng.integers(0, 5, (int(rng.integers(1, 3)), 3)).astype(float).tolist()

    plan = solved([offer], demand, waiting_usd=7.0)

    assert plan.usd == pytest.approx(brute_force(offer, demand, 7.0), abs=1e-3)


def test_buys_a_lead_time_before_demand_comes() -> None:
    plan = solved([FREE, BOUGHT], [[8.0, 8.0, 12.0]])

    assert plan.bought[1].tolist() == pytest.approx([0.0, 4.0, 0.0])
    assert plan.waiting.sum() == pytest.approx(0.0)


def test_nothing_helps_before_the_lead_time_is_over() -> None:
    plan = solved([FREE, BOUGHT], [[12.0, 8.0, 8.0]])

    assert plan.bought.sum() == pytest.approx(0.0)
    assert plan.waiting[0].tolist() == pytest.approx([4.0, 0.0, 0.0])


def test_what_is_coming_is_not_bought_again() -> None:
    plan = solved([FREE, BOUGHT._replace(coming=4)], [[12.0, 12.0, 12.0]])

    assert plan.bought.sum() == pytest.approx(0.0)
    assert plan.there[1].tolist() == pytest.approx([0.0, 4.0, 4.0])


def test_what_no_longer_pays_goes_as_far_as_it_is_idle() -> None:
    plan = solved([Offer(8, 0, 8, 3, 1.0, 2.0, 0.5)], [[0.0, 0.0, 0.0]])

    assert plan.released[0].tolist() == pytest.approx([3.0, 5.0, 0.0])


def test_a_dip_is_not_worth_starting_again() -> None:
    dip = [[8.0, 0.0, 8.0]]

    assert solved([Offer(8, 0, 8, 0, 1.0, 2.0, 3.0)], dip).released.sum() == pytest.approx(0.0)
    assert solved([Offer(8, 0, 8, 0, 1.0, 2.0, 1.0)], dip).released.sum() == pytest.approx(8.0)


def test_no_pool_is_planned_beyond_its_limit_and_the_cheap_one_comes_first() -> None:
    cheap, dear = BOUGHT._replace(most=3), BOUGHT._replace(price_usd_per_hour=4.0)

    plan = solved([cheap, dear], [[0.0, 10.0]])

    assert plan.bought[:, 0].tolist() == pytest.approx([3.0, 7.0])


def test_many_courses_buy_the_quantile_that_price_and_waiting_imply() -> None:
    courses = [[0.0, gpus] for gpus in (1.0, 2.0, 3.0, 4.0)]

    # A GPU-hour costs 2.5 with its start, waiting 10: worth it while more than a quarter of the courses want it.
    assert solved([BOUGHT], courses).bought[0, 0] == pytest.approx(3.0)
    assert solved([BOUGHT], courses, waiting_usd=4.0).bought[0, 0] == pytest.approx(2.0)
    assert solved([BOUGHT], courses, waiting_usd=0.0).bought[0, 0] == pytest.approx(0.0)


def test_gpus_that_are_paid_for_are_taken_only_as_far_as_somebody_wants_them() -> None:
    reserved = BOUGHT._replace(price_usd_per_hour=0.0, start_up_usd=0.0)

    assert solved([reserved], [[0.0, 5.0], [0.0, 9.0]]).bought[0, 0] == pytest.approx(9.0)


def test_what_is_bought_comes_at_the_first_edge_after_its_lead_time() -> None:
    edges = np.array([0.0, 0.25, 0.5, 1.0, 2.0])

    assert arrivals(0.25, edges).tolist() == [1, 2, 3, 4]
    assert arrivals(0.3, edges).tolist() == [2, 3, 3, 4]
    assert arrivals(0.0, edges).tolist() == [0, 1, 2, 3]


def test_no_plan_is_made_for_a_demand_without_end() -> None:
    assert cheapest([BOUGHT], np.array([[np.inf, 1.0]]), 10.0, HOURLY[:3]) is None


def test_nothing_is_left_of_the_plan_before() -> None:
    waits, scarce = np.array([[8.0, 20.0, 12.0]]), np.array([[30.0, 30.0, 30.0]])
    first = cheapest([FREE, BOUGHT], waits, 10.0, HOURLY)

    cheapest([FREE, BOUGHT], scarce, 10.0, HOURLY)
    refused = cheapest([FREE, BOUGHT], np.array([[np.inf, 1.0, 1.0]]), 10.0, HOURLY)
    again = cheapest([FREE, BOUGHT], waits, 10.0, HOURLY)

    assert refused is None
    assert first is not None
    assert again is not None
    assert again.usd == first.usd
    assert [part.tolist() for part in again[:4]] == [part.tolist() for part in first[:4]]
