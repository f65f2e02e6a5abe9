from __future__ import annotations

from agents import Preemptor
from agents.borrowing import borrowed_by_flavor, borrowed_gpus, waits_for_its_own, wanted_flavors
from agents.pilots.reclaim import reclaim
from agents.supply import admissible_pending
from gyropilot.domain import Intent, Line, Queue, Quota
from tests.fakes import GPU, H100, pool, queue, state, view, workload


def over_flavors(name: str, running: float, pending: float = 0.0, **used_of_nominal: tuple[int, int]) -> Queue:
    """A queue that uses so many of so many GPUs of each flavor."""
    quotas = tuple(Quota(f, H100, nominal, float(used)) for f, (used, nominal) in used_of_nominal.items())
    return queue(name, running=running, pending=pending, quotas=quotas)


RICH = over_flavors("rich", 64, spot=(24, 20), reserved=(40, 16))
POOR = over_flavors("poor", 8, 30, reserved=(8, 24))


def test_borrowing_is_counted_per_flavor() -> None:
    assert borrowed_gpus(RICH, GPU) == 28
    assert borrowed_by_flavor(RICH, GPU) == {"spot": 4, "reserved": 24}


def test_a_queue_waits_for_its_own_while_it_runs_less_than_its_quota() -> None:
    assert waits_for_its_own(queue(nominal=16, running=8, pending=1), GPU)
    assert not waits_for_its_own(queue(nominal=16, running=16, pending=1), GPU)
    assert not waits_for_its_own(queue(nominal=16, running=8), GPU)


def test_only_flavors_that_the_waiting_queue_may_use_are_wanted() -> None:
    assert wanted_flavors(state(queues=[RICH, POOR]), RICH, GPU) == {"reserved"}


def test_only_gpus_of_a_wanted_flavor_are_asked_back() -> None:
    on_spot = over_flavors("rich", 64, spot=(50, 20), reserved=(14, 16))
    slightly = over_flavors("rich", 64, spot=(46, 20), reserved=(18, 16))

    assert reclaim(state([], [on_spot, POOR]), {})[0] == {}
    assert reclaim(state([], [slightly, POOR]), {})[0] == {Line("rich", GPU): 2}


def test_only_gangs_on_a_wanted_flavor_are_paused() -> None:
    gangs = [
        workload("spot", "rich", flavor="spot", gpus=8),
        workload("reserved", "rich", flavor="reserved", gpus=16),
    ]
    seen = view(state([pool()], [RICH, POOR], gangs))

    actions = Preemptor().propose(seen, Intent("any", reclaim_gpus={Line("rich", GPU): 8}))

    assert [a.subject for a in actions] == ["rich/reserved"]


def test_a_gang_whose_flavor_is_not_told_may_be_paused() -> None:
    seen = view(state([pool()], [RICH, POOR], [workload("somewhere", "rich", flavor="")]))

    actions = Preemptor().propose(seen, Intent("any", reclaim_gpus={Line("rich", GPU): 8}))

    assert [a.subject for a in actions] == ["rich/somewhere"]


def test_a_flavor_admits_only_who_has_it() -> None:
    # 24 GPUs of quota lie unused, but poor has no quota of spot.
    rich = over_flavors("rich", 16, spot=(0, 24), reserved=(16, 16))
    poor = over_flavors("poor", 8, 30, reserved=(8, 12))

    assert admissible_pending(state(queues=[rich, poor]), GPU) == {"poor": 4.0, "rich": 0.0}


def test_a_borrowing_limit_bounds_what_is_admitted() -> None:
    quota = Quota("h100", H100, 8, 8.0, borrowing_limit_gpus=4)
    limited = queue("a", running=8, pending=16, quotas=(quota,))

    assert admissible_pending(state(queues=[limited, queue("b", 32)]), GPU) == {"a": 4.0, "b": 0.0}


def test_two_queues_are_not_admitted_to_the_same_quota() -> None:
    first = over_flavors("a", 0, 8, spot=(0, 8), reserved=(0, 8))
    second = over_flavors("b", 0, 8, spot=(0, 0))

    assert admissible_pending(state(queues=[first, second]), GPU) == {"a": 8.0, "b": 0.0}


def test_what_runs_counts_although_its_flavor_is_not_told_yet() -> None:
    first = over_flavors("a", 6, 2, spot=(0, 8))
    second = over_flavors("b", 0, 2, spot=(0, 0))

    assert admissible_pending(state(queues=[first, second]), GPU) == {"a": 2.0, "b": 0.0}
