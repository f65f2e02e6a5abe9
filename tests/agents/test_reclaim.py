from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from agents.borrowing import borrowed_gpus
from agents.pilots import Newsvendor
from agents.pilots.reclaim import reclaim
from gyropilot.domain import Accelerator, Line, Pool, Queue, Quota, View
from tests.fakes import GPU, H100, forecast, pool, queue, state, workload

FULL = pool(idle_gpus=0.0, max_nodes=4)
BORROWER = queue("rich", 16, running=28)
WAITER = queue("poor", 16, running=4, pending=10, oldest_wait=timedelta(minutes=1))


def back(
    waiter: Queue = WAITER, borrower: Queue = BORROWER, pools: Pool = FULL, growth: dict[str, int] | None = None
) -> dict[str, int]:
    """GPUs taken back per queue."""
    taken, _ = reclaim(state([pools], [waiter, borrower]), growth or {})
    return {line.queue: gpus for line, gpus in taken.items()}


def test_a_borrower_gives_back_what_a_guaranteed_share_waits_for() -> None:
    assert back() == {"rich": 10}


def test_says_who_waits_and_who_borrows() -> None:
    seen = View(state([FULL], [WAITER, BORROWER]), forecast({"poor": 14, "rich": 28}))

    intent = Newsvendor().steer(seen)

    assert intent.reclaim_gpus == {Line("rich", GPU): 10}
    assert intent.why(Line("rich", GPU)) == (
        "rich runs 28 GPUs on a quota of 16 while poor waits for 10 GPUs of its guaranteed 16, "
        "and none come within its target wait"
    )


def test_nothing_is_taken_back_when_that_is_not_wanted() -> None:
    seen = View(state([FULL], [WAITER, BORROWER]), forecast({"poor": 14, "rich": 28}))

    assert Newsvendor(preempt=False).steer(seen).reclaim_gpus == {}


def test_never_more_than_was_borrowed() -> None:
    assert back(borrower=queue("rich", 16, running=20)) == {"rich": 4}


def test_a_queue_that_waits_beyond_its_share_takes_nothing_back() -> None:
    assert back(waiter=queue("poor", 16, running=16, pending=10)) == {}


def test_only_the_guaranteed_part_is_taken_back() -> None:
    assert back(waiter=replace(WAITER, guaranteed_gpus=6)) == {"rich": 2}


def test_idle_gpus_that_quota_admits_come_first() -> None:
    assert back(pools=replace(FULL, idle_gpus=4.0), borrower=queue("rich", 16, running=24)) == {"rich": 6}


def test_idle_gpus_do_not_help_where_borrowers_hold_the_whole_quota() -> None:
    assert back(pools=replace(FULL, idle_gpus=16.0)) == {"rich": 10}


def with_spare_quota() -> Queue:
    """A borrower in a cohort that still admits ten GPUs."""
    return queue("rich", 16, running=18)


def test_coming_gpus_count_while_they_can_be_in_time() -> None:
    coming = replace(FULL, dial_value=5)

    assert back(borrower=with_spare_quota(), pools=coming) == {"rich": 2}


def test_coming_gpus_that_have_not_come_in_time_count_no_more() -> None:
    late = replace(WAITER, oldest_wait=timedelta(minutes=10))

    assert back(waiter=late, borrower=queue("rich", 16, running=18), pools=replace(FULL, dial_value=5)) == {"rich": 2}
    assert back(waiter=late, borrower=queue("rich", 16, running=24), pools=replace(FULL, dial_value=5)) == {"rich": 8}


def test_growth_counts_if_it_is_ready_within_the_target_wait() -> None:
    borrower = queue("rich", 24, running=26)

    assert back(borrower=borrower, growth={"h100": 8}) == {"rich": 2}
    assert back(borrower=borrower, growth={}) == {"rich": 2}
    assert back(borrower=queue("rich", 24, running=26), growth={"h100": 16}) == {}


def test_growth_that_comes_too_late_does_not_count() -> None:
    borrower = queue("rich", 24, running=30)
    slow = replace(FULL, lead_time=timedelta(minutes=10))

    assert back(borrower=borrower, growth={"h100": 16}, pools=FULL) == {"rich": 4}
    assert back(borrower=borrower, growth={"h100": 16}, pools=slow) == {"rich": 6}


def test_nothing_is_taken_back_across_cohorts() -> None:
    assert back(borrower=replace(BORROWER, cohort="other")) == {}
    assert back(borrower=replace(BORROWER, cohort=None), waiter=replace(WAITER, cohort=None)) == {}


def test_nothing_is_taken_back_from_another_flavor() -> None:
    a100 = Accelerator(GPU, "NVIDIA-A100")
    quota = replace(BORROWER.quotas[0], flavor="a100", accelerator=a100)

    assert back(borrower=replace(BORROWER, quotas=(quota,))) == {}


def test_nothing_is_taken_back_from_or_for_a_stopped_queue() -> None:
    assert back(borrower=replace(BORROWER, active=False)) == {}
    assert back(waiter=replace(WAITER, active=False)) == {}


def test_borrowers_share_in_proportion() -> None:
    borrowers = [queue("rich", 8, running=16), queue("richer", 8, running=24)]
    taken, _ = reclaim(state([FULL], [queue("poor", 24, running=4, pending=12), *borrowers]), {})

    assert {line.queue: gpus for line, gpus in taken.items()} == {"rich": 4, "richer": 8}


def test_two_that_wait_do_not_take_the_same_gpus() -> None:
    waiting = [queue("a", 8, pending=8), queue("b", 8, pending=8)]
    taken, _ = reclaim(state([FULL], [*waiting, queue("rich", 16, running=28)]), {})

    assert {line.queue: gpus for line, gpus in taken.items()} == {"rich": 12}


def test_a_queue_without_quota_borrows_nothing() -> None:
    assert borrowed_gpus(queue(quotas=(), running=8), GPU) == 0
    assert borrowed_gpus(queue(nominal=4, running=8), GPU) == 4


def test_what_is_being_paused_is_not_asked_back_twice() -> None:
    stopping = workload("job", "rich", gpus=8, active=False)

    taken, _ = reclaim(state([FULL], [WAITER, BORROWER], [stopping]), {})
    others, _ = reclaim(state([FULL], [WAITER, BORROWER], [replace(stopping, started=None)]), {})

    assert taken == {Line("rich", GPU): 2}
    assert others == {Line("rich", GPU): 10}


def test_each_waiter_is_named_with_the_flavors_that_it_may_use() -> None:
    def on(name: str, **used: int) -> tuple[Quota, ...]:
        return tuple(Quota(f, H100, 8, gpus, dial_target=f"{name}/{f}/{GPU}") for f, gpus in used.items())

    rich = queue("rich", running=24, quotas=on("rich", a100=12, h100=12))
    first = queue("first", running=4, pending=4, priority=1, quotas=on("first", a100=4))
    second = queue("second", running=4, pending=2, quotas=on("second", h100=4))

    back, why = reclaim(state([FULL], [rich, first, second]), {})

    assert back == {Line("rich", GPU): 6}
    assert why[str(Line("rich", GPU))] == (
        "rich runs 24 GPUs on a quota of 16 while first waits for 4 GPUs on a100 of its guaranteed 8 "
        "and second waits for 2 GPUs on h100 of its guaranteed 8, and none come within their target wait"
    )
