"""A gang runs in one flavor or not at all: room for it is made in one."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agents.pilots import Reactive
from agents.pilots.gathering import Gathering, Work
from gyropilot.domain import Market, Pool, Queue, Quota
from tests.fakes import GPU, H100, history, pool, queue, state, view

OWNED = replace(
    pool("owned", flavors=("owned",), nodes=10, ready_nodes=10, idle_gpus=80.0, max_nodes=10, dial_value=10),
    market=Market.RESERVED,
)
BOUGHT = pool("bought", flavors=("bought",), nodes=5, ready_nodes=5, idle_gpus=40.0, max_nodes=50, dial_value=5)


def waiting(gpus: float, gang: float, **quotas: int) -> Queue:
    """A queue with quotas by flavor."""
    told = quotas or {"owned": 400, "bought": 400}
    mine = tuple(Quota(flavor, H100, gpus, dial_target=f"research/{flavor}/{GPU}") for flavor, gpus in told.items())
    return replace(queue(pending=gpus), quotas=mine, largest_pending_gpus={GPU: gang})


def test_room_of_two_flavors_is_no_room_for_one_gang() -> None:
    seen = state([OWNED, BOUGHT], [waiting(120, gang=120)])

    intent = Reactive().steer(view(seen))

    assert intent.pool_gpus == {"bought": 80}
    assert intent.why("bought") == (
        "120 GPUs wait and do not fit in 120 idle and 0 coming GPUs: a gang of 120 runs in one flavor"
    )


def test_many_small_gangs_fill_both_flavors() -> None:
    seen = state([OWNED, BOUGHT], [waiting(120, gang=8)])

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_a_gang_takes_the_flavor_in_which_it_fits_at_once() -> None:
    enough = replace(BOUGHT, nodes=15, ready_nodes=15, idle_gpus=120.0, dial_value=15)
    seen = state([OWNED, enough], [waiting(120, gang=120)])

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_pools_of_one_flavor_hold_a_gang_together() -> None:
    other = replace(BOUGHT, name="bought-too", nodes=10, ready_nodes=10, idle_gpus=80.0, dial_value=10)

    assert Reactive().steer(view(state([BOUGHT, other], [waiting(120, 120)]))).pool_gpus == {}


def test_nothing_is_bought_for_a_gang_that_no_flavor_can_ever_hold() -> None:
    small = replace(BOUGHT, max_nodes=8)

    assert Reactive().steer(view(state([OWNED, small], [waiting(120, gang=120)]))).pool_gpus == {}


def test_a_gang_grows_no_flavor_whose_quota_does_not_admit_it() -> None:
    cheap = replace(BOUGHT, name="cheap", flavors=("cheap",), price_usd_per_gpu_hour=0.5)

    intent = Reactive().steer(view(state([cheap, BOUGHT], [waiting(120, 120, cheap=100, bought=400)])))

    assert intent.pool_gpus == {"bought": 80}


def test_idle_nodes_that_wait_for_the_rest_of_their_gang_stay() -> None:
    ready = replace(BOUGHT, nodes=20, ready_nodes=10, idle_gpus=80.0, dial_value=20)
    seen = state([OWNED, ready], [waiting(120, gang=120)], history=history({"research": [120.0] * 288}))

    assert Reactive().steer(view(seen)).pool_gpus == {}


def test_those_beside_a_gang_that_no_quota_admits_get_their_room() -> None:
    many = replace(waiting(532, gang=512), quotas=(Quota("bought", H100, 64, dial_target=f"research/bought/{GPU}"),))

    intent = Reactive().steer(view(state([replace(BOUGHT, idle_gpus=0.0)], [many])))

    assert intent.pool_gpus == {"bought": 24}


def test_those_beside_a_gang_grow_no_flavor_whose_quota_is_used_up() -> None:
    cheap = replace(BOUGHT, name="cheap", flavors=("cheap",), idle_gpus=0.0, price_usd_per_gpu_hour=0.5)
    full = replace(BOUGHT, idle_gpus=0.0)
    waits = waiting(48, 16, cheap=8, bought=400)

    assert Reactive().steer(view(state([cheap, full], [waits]))).pool_gpus == {"cheap": 8, "bought": 40}


def test_what_is_idle_of_a_flavor_without_quota_is_no_room() -> None:
    used_up = Quota("owned", H100, 80, used_gpus=80.0)
    research = waiting(24, 8, owned=0, bought=400)
    waits = replace(research, quotas=(used_up, *research.quotas[1:]), running_gpus={GPU: 80.0})

    assert Reactive().steer(view(state([OWNED, replace(BOUGHT, idle_gpus=0.0)], [waits]))).pool_gpus == {"bought": 24}


def test_two_queues_do_not_both_grow_for_the_quota_that_one_of_them_may_borrow() -> None:
    cheap = replace(BOUGHT, name="cheap", flavors=("cheap",), idle_gpus=0.0, price_usd_per_gpu_hour=0.5)
    lender = replace(queue("lender"), quotas=(Quota("cheap", H100, 16), Quota("bought", H100, 64)))
    both = [
        replace(
            waiting(16, 8, cheap=0, bought=0), name=name, quotas=(Quota("cheap", H100, 0), Quota("bought", H100, 0))
        )
        for name in ("a", "b")
    ]

    intent = Reactive().steer(view(state([cheap, replace(BOUGHT, idle_gpus=0.0)], [lender, *both])))

    assert intent.pool_gpus == {"cheap": 16, "bought": 16}


sizes = st.floats(1, 200)


@given(st.integers(0, 30), st.integers(0, 30), sizes, sizes)
def test_a_gang_that_may_fit_has_room_in_one_flavor_afterwards(
    owned_idle: int, bought_idle: int, gpus: float, gang: float
) -> None:
    pools = [replace(OWNED, idle_gpus=float(owned_idle)), replace(BOUGHT, idle_gpus=float(bought_idle))]
    gathering, gang = Gathering.of(pools), min(gang, gpus)

    gathering.place(Work(waiting(gpus, gang), gpus, gang=gang), pools)

    have = {p.name: p.idle_gpus + p.coming_gpus + gathering.added.get(p.name, 0) for p in pools}
    assert max(have.values()) >= gang - 1e-6
    assert all(left >= -1e-6 for left in gathering.free.values())
    assert sum(have.values()) - sum(gathering.free.values()) <= gpus + 1e-6
    assert all(_whole_nodes(p, gathering.added.get(p.name, 0)) for p in pools)


def _whole_nodes(each: Pool, gpus: int) -> bool:
    return gpus % each.gpus_per_node == 0
