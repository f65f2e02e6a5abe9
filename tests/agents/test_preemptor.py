from __future__ import annotations

from datetime import timedelta
from typing import Any

from agents import Preemptor
from gyropilot.domain import Accelerator, Action, Dial, Intent, Line, Workload, WorkloadKind
from tests.fakes import GPU, NOW, pool, queue, state, view, workload


def proposed(workloads: list[Workload], need: int, why: str = "poor waits") -> list[Action]:
    line = Line("research", GPU)
    seen = state([pool(idle_gpus=0.0)], [queue(running=32), queue("poor")], workloads)
    return Preemptor().propose(view(seen), Intent("any", reclaim_gpus={line: need}, reasons={str(line): why}))


def paused(workloads: list[Workload], need: int) -> set[str]:
    return {a.subject.removeprefix("research/") for a in proposed(workloads, need)}


def fresh(name: str, gpus: int = 8, minutes: int = 1, **changes: Any) -> Workload:
    return workload(name, gpus=gpus, last_checkpoint=NOW - timedelta(minutes=minutes), **changes)


def test_pauses_the_gang_that_loses_least() -> None:
    (action,) = proposed([workload("old"), fresh("fresh")], need=8)

    assert (action.dial, action.target, action.before, action.after) == (Dial.WORKLOAD, "research/fresh", 1, 0)
    assert (action.gpus, action.queue, action.namespace, action.resource) == (-8, "research", "research", GPU)
    assert action.subject == "research/fresh"


def test_says_how_much_work_is_lost() -> None:
    # One minute since the checkpoint and five to restart, times eight GPUs: 0.8 GPU-hours.
    assert proposed([fresh("fresh")], 8)[0].reason == (
        "poor waits; pausing it loses 0.8 GPU-hours: work since its last checkpoint, and the restart"
    )
    assert proposed([workload("old")], 8)[0].reason == (
        "poor waits; pausing it loses 16.7 GPU-hours: work since its start, and the restart"
    )


def test_one_gang_that_fits_is_better_than_two() -> None:
    assert paused([fresh("a", 4), fresh("b", 4), fresh("whole", 8)], need=8) == {"whole"}


def test_a_large_gang_is_spared_where_small_ones_lose_less() -> None:
    assert paused([fresh("a", 4), fresh("b", 4), fresh("large", 32)], need=8) == {"a", "b"}


def test_a_lower_priority_makes_way_although_it_loses_more() -> None:
    assert paused([fresh("high", priority=10), workload("low", priority=0)], need=8) == {"low"}


def test_inference_makes_way_last() -> None:
    service = fresh("service", kind=WorkloadKind.INFERENCE, priority=0)

    assert paused([service, workload("training", priority=100)], need=8) == {"training"}
    assert paused([service, workload("training", priority=100)], need=16) == {"service", "training"}


def test_a_small_gang_is_spared_when_a_larger_one_of_the_next_rank_covers_all() -> None:
    assert paused([fresh("small", 1, priority=0), fresh("large", 8, priority=1)], need=8) == {"large"}


def test_takes_from_the_next_rank_only_what_is_missing() -> None:
    gangs = [fresh("low", 4, priority=0), fresh("a", 4, priority=1), fresh("b", 8, priority=1)]

    assert paused(gangs, need=8) == {"low", "a"}


def test_all_that_may_be_paused_makes_way_where_it_does_not_suffice() -> None:
    assert paused([fresh("a", 4), fresh("b", 2)], need=8) == {"a", "b"}


def test_never_touches_what_it_must_not() -> None:
    gangs = [
        fresh("protected", protected="its owner says so"),
        fresh("not-pausable", dial_target=""),
        fresh("paused", active=False),
        fresh("waiting", started=None),
        fresh("other-resource", accelerator=Accelerator("amd.com/gpu")),
        workload("other-queue", queue="vision"),
    ]

    assert paused(gangs, need=8) == set()


def test_pauses_nothing_when_nothing_is_asked() -> None:
    assert paused([fresh("a")], need=0) == set()
    assert paused([fresh("a")], need=-8) == set()


def test_unknown_queues_change_nothing() -> None:
    seen = state([pool()], [queue()], [fresh("a")])

    assert Preemptor().propose(view(seen), Intent("any", reclaim_gpus={Line("gone", GPU): 8})) == []


def test_gangs_that_lose_nothing_are_not_paused_in_vain() -> None:
    free = [fresh(f"free-{i}", 8, minutes=0, restart_cost=timedelta(0)) for i in range(4)]

    assert len(paused(free, need=8)) == 1


def test_equal_gangs_are_chosen_the_same_way_each_time() -> None:
    gangs = [fresh("b"), fresh("a"), fresh("c")]

    assert paused(gangs, need=8) == paused(gangs[::-1], need=8)
