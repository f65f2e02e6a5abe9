"""Which workloads go on in another pool."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given

from agents import Migrator, Preemptor, propose_all
from agents.migrator import movers
from gyropilot.domain import Accelerator, Action, Intent, Line, Quota, View, Way, Workload, WorkloadKind
from tests.agents.worlds import in_any_world, intents, views
from tests.fakes import GPU, H100, NOW, pool, queue, state, view, workload

WAY = Way("bought", "own")


def quotas(*flavors: str, used: float = 0.0) -> tuple[Quota, ...]:
    return tuple(Quota(flavor, H100, 16, used if flavor == "own" else 8.0) for flavor in flavors)


def gang(name: str, gpus: int = 8, minutes: int = 1, **changes: Any) -> Workload:
    return workload(
        name, gpus=gpus, **{"flavor": "bought", "last_checkpoint": NOW - timedelta(minutes=minutes), **changes}
    )


def moved(workloads: list[Workload], need: int = 8, idle: float = 16.0, **told: Any) -> list[Action]:
    pools = [pool("own", idle_gpus=idle), pool("bought", idle_gpus=0.0, price_usd_per_gpu_hour=4.0)]
    asks = queue(**{"quotas": quotas("own", "bought"), "running": 8.0, **told})
    seen = view(state(pools, [asks], workloads))
    return Migrator().propose(seen, Intent("any", move_gpus={WAY: need}, reasons={str(WAY): "own is cheaper"}))


def names(actions: list[Action]) -> list[str]:
    return [action.subject.removeprefix("research/") for action in actions]


def test_a_workload_is_paused_where_it_would_start_in_the_other_pool() -> None:
    (action,) = moved([gang("job")])

    assert (action.target, action.before, action.after, action.gpus) == ("research/job", 1, 0, -8)
    assert action.reason == (
        "own is cheaper; pausing it loses 0.8 GPU-hours: work since its last checkpoint, and the restart"
    )


def test_who_loses_least_moves() -> None:
    assert names(moved([gang("old", minutes=60), gang("fresh")])) == ["fresh"]


def test_nothing_moves_to_where_there_is_no_room() -> None:
    assert moved([gang("job")], idle=4.0) == []


def test_no_more_moves_than_there_is_room_for() -> None:
    assert len(moved([gang("a", 6), gang("b", 6), gang("c", 6)], need=18, idle=14.0)) == 2


def test_nothing_moves_beyond_what_is_left_of_its_queues_own_quota() -> None:
    assert moved([gang("job")], quotas=quotas("own", "bought", used=12.0)) == []


def test_nothing_moves_where_its_queue_would_start_it_again_where_it_was() -> None:
    assert moved([gang("job")], quotas=quotas("bought", "own")) == []
    assert moved([gang("job")], quotas=quotas("bought")) == []


def test_services_and_what_is_protected_stay() -> None:
    service = gang("service", kind=WorkloadKind.INFERENCE)
    protected = gang("protected", protected="its owner says so")
    unsafe = gang("unsafe", dial_target="")
    waiting = gang("waiting", started=None)

    assert moved([service, protected, unsafe, waiting], need=32) == []


def test_what_runs_elsewhere_stays() -> None:
    assert moved([gang("job", flavor="own"), gang("other", flavor="h100")], need=16) == []


def test_nothing_moves_to_another_kind_of_accelerator() -> None:
    other = pool("own", idle_gpus=16.0, accelerator=Accelerator(GPU, "NVIDIA-L4"))
    seen = state([other, pool("bought")], [queue(quotas=quotas("own", "bought"))], [gang("job")])

    assert movers(seen, WAY, 8) == []


def test_nothing_moves_between_pools_that_are_not_there() -> None:
    assert movers(state([pool("own")], [], [gang("job")]), WAY, 8) == []


def test_nothing_moves_of_a_line_of_which_gpus_are_taken_back() -> None:
    pools = [pool("own", idle_gpus=16.0), pool("bought", idle_gpus=0.0)]
    seen = view(state(pools, [queue(quotas=quotas("own", "bought"), running=16.0)], [gang("a"), gang("b")]))
    intent = Intent("any", reclaim_gpus={Line("research", GPU): 8}, move_gpus={WAY: 16})

    assert Migrator().propose(seen, intent) == []
    assert len(propose_all(seen, intent)) == 1


@in_any_world
@given(views(), intents())
def test_whatever_is_wanted_only_what_may_be_paused_moves_and_each_once(view: View, intent: Intent) -> None:
    actions = Migrator().propose(view, intent)

    by_target = {w.dial_target: w for w in view.state.workloads}
    assert len({action.target for action in actions}) == len(actions)
    for workload_ in (by_target[action.target] for action in actions):
        assert workload_.active
        assert workload_.started is not None
        assert workload_.protected is None
        assert workload_.kind is not WorkloadKind.INFERENCE
    paused = {action.target for action in Preemptor().propose(view, intent)}
    assert paused.isdisjoint(action.target for action in actions)


@in_any_world
@given(views(), intents())
def test_each_way_moves_no_more_than_has_room(view: View, intent: Intent) -> None:
    pools = {pool.name: pool for pool in view.state.pools}
    for way, need in intent.move_gpus.items():
        chosen = movers(view.state, way, need)

        assert sum(w.gpus for w in chosen) <= (pools[way.target].idle_gpus if way.target in pools else 0)
        assert all(w.flavor in pools[way.source].flavors for w in chosen)


def test_the_order_of_workloads_does_not_matter() -> None:
    gangs = [gang(name, gpus, minutes) for name, gpus, minutes in (("a", 4, 5), ("b", 4, 1), ("c", 8, 3))]

    assert names(moved(gangs)) == names(moved(gangs[::-1]))
    assert names(moved([replace(g) for g in gangs])) == names(moved(gangs))
