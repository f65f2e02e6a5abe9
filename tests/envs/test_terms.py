"""What everything costs, also where it changes by the hour."""

from dataclasses import replace

import numpy as np
import pytest

from envs.control import Task
from envs.faces import SAMPLE, Cluster
from envs.terms import KINDS, Flows, Hourly, PoolTerms, Prices, bill, by_hour, carbon_g_per_kwh, rates, rates_at
from envs.workloads import Floats
from envs.world import World
from gyropilot.domain import Market

HOUR_S = 3_600.0
POOL = PoolTerms("bought", 0, 8, price_usd_per_gpu_hour=2.0, watts_idle_per_gpu=100.0, watts_busy_per_gpu=700.0)
PRICES = Prices(waiting_usd_per_gpu_hour=10.0, usd_per_kwh=0.2, carbon_usd_per_tonne=100.0, carbon_g_per_kwh=500.0)


def hours(count: int) -> Floats:
    """When each begins."""
    return HOUR_S * np.arange(count, dtype=np.float64)


def flows(steps: int, there: float = 8.0, busy: float = 4.0) -> Flows:
    """The same in each step of an hour: (T, ...)."""
    none = np.zeros(steps)
    return Flows(
        np.full((steps, 1), there), np.full((steps, 1), busy), none[:, None], none[:, None], none, none[:, None]
    )


def test_one_price_holds_all_the_time_unless_told_by_the_hour() -> None:
    moments = hours(5)

    constant = by_hour((), 2.0, moments)
    by_turns = by_hour((1.0, 3.0), 2.0, moments)

    assert constant.tolist() == [2, 2, 2, 2, 2]
    assert by_turns.tolist() == [1, 3, 1, 3, 1]


def test_a_bill_follows_the_price_of_the_hour() -> None:
    spot = replace(POOL, hourly=Hourly(price_usd_per_gpu_hour=(1.0, 5.0)))

    usd = bill(flows(4), rates([spot], ["a"], PRICES, hours(4)))

    assert usd[:, KINDS.index("GPUs")].tolist() == [8, 40, 8, 40]


def test_who_leaves_before_its_shortest_bill_is_over_pays_for_gpus_and_for_no_energy() -> None:
    left = flows(2, there=0.0, busy=0.0)._replace(unused=np.array([[8.0], [0.0]]))

    usd = bill(left, rates([POOL], ["a"], PRICES))

    assert usd[:, KINDS.index("GPUs")].tolist() == [16, 0]
    assert usd.sum() == 16


def test_energy_and_carbon_follow_the_hour_of_their_zone() -> None:
    windy = replace(POOL, hourly=Hourly(usd_per_kwh=(0.1, 0.3), carbon_g_per_kwh=(50.0, 450.0)))

    usd = bill(flows(2), rates([windy], ["a"], PRICES, hours(2)))

    kwh = 8 * 0.1 + 4 * 0.6
    assert usd[:, KINDS.index("energy")] == pytest.approx([kwh * 0.1, kwh * 0.3])
    assert usd[:, KINDS.index("carbon")] == pytest.approx([kwh * 50e-6 * 100, kwh * 450e-6 * 100])
    assert carbon_g_per_kwh([windy, POOL], PRICES, hours(2)).tolist() == [[50, 500], [450, 500]]


def test_what_an_hour_costs_that_is_told_once_is_what_it_costs_told_by_the_hour() -> None:
    told = replace(POOL, hourly=Hourly((2.0,) * 24, (0.2,) * 24, (500.0,) * 24))

    by_the_hour = bill(flows(30), rates([told], ["a"], PRICES, hours(30)))

    assert by_the_hour == pytest.approx(bill(flows(30), rates([POOL], ["a"], PRICES)))


def test_owned_nodes_cost_nothing_more_whatever_the_hour() -> None:
    owned = replace(POOL, market=Market.RESERVED, hourly=Hourly(price_usd_per_gpu_hour=(9.0,)))

    assert rates([owned], ["a"], PRICES, np.zeros(3)).there.tolist() == [[0], [0], [0]]


def test_prices_by_the_hour_ask_for_the_moment() -> None:
    spot = replace(POOL, hourly=Hourly(price_usd_per_gpu_hour=(1.0, 5.0)))

    with pytest.raises(ValueError, match="say at which moments"):
        rates([spot], ["a"], PRICES)


def test_the_rates_of_a_step_are_those_of_its_row() -> None:
    spot = replace(POOL, hourly=Hourly(price_usd_per_gpu_hour=(1.0, 5.0)))
    costs = rates([spot], ["a"], PRICES, hours(4))

    assert [rates_at(costs, nth).there.tolist() for nth in range(4)] == [[1], [5], [1], [5]]


ABROAD = (replace(POOL, name="near", region="north"), replace(POOL, name="far", region="south"))


def test_data_costs_between_different_regions_and_nothing_within_one() -> None:
    alike = rates(ABROAD, ["a"], replace(PRICES, egress_usd_per_gb=0.5), homes={"a": "east"})
    by_way = rates(ABROAD, ["a"], replace(PRICES, egress_usd_per_gb={"north": {"south": 0.25, "north": 9.0}}))

    assert alike.sent.tolist() == [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]  # east, north, south
    assert by_way.sent.tolist() == [[0, 0.25], [0, 0]]
    assert rates([POOL], ["a"], replace(PRICES, egress_usd_per_gb=0.5)).sent.shape == (0, 0)


def test_what_was_sent_is_billed_by_its_way() -> None:
    told = flows(2)._replace(asked=np.zeros((2, 2)), sent=np.array([[[0, 8.0], [4, 0]], [[0, 0], [0, 0]]]))

    usd = bill(told, rates(ABROAD, ["a"], replace(PRICES, egress_usd_per_gb={"north": {"south": 0.25}})))

    assert usd[:, KINDS.index("egress")].tolist() == [2.0, 0.0]


def test_learners_pay_the_price_of_the_hour() -> None:
    pools = tuple(
        replace(pool, hourly=Hourly(price_usd_per_gpu_hour=(0.0,) * 12 + (pool.price_usd_per_gpu_hour,) * 12))
        for pool in SAMPLE.world.pools
    )
    cheap_mornings: Task = replace(
        SAMPLE, world=World(pools), prices=Prices(waiting_usd_per_gpu_hour=0.0, lost_usd_per_gpu_hour=0.0)
    )
    day = Cluster(cheap_mornings)
    day.reset(seed=1)

    paid = [day.step(np.full(3, 4))[4]["usd"] for _ in range(288)]

    assert sum(paid[:144]) == 0
    assert sum(paid[144:]) > 0
