"""What quotas let queues use of each flavor."""

from __future__ import annotations

import math
from dataclasses import replace

from agents.allowances import allowances, usable_gpus
from gyropilot.domain import Queue, Quota
from tests.fakes import GPU, H100, pool, queue, state

OWNED, BOUGHT = pool("owned"), pool("bought")


def tenant(name: str, owned: int, bought: int, pending: float = 0.0, limit: int | None = None) -> Queue:
    """A queue of one cohort, with so much quota of both flavors, of which it may borrow so much of others."""
    quotas = (Quota("owned", H100, owned, 0.0, limit), Quota("bought", H100, bought, 0.0, limit))
    return replace(queue(name, pending=pending), quotas=quotas)


def test_what_one_queue_takes_of_a_cohort_is_gone_for_the_others() -> None:
    found = allowances(state(queues=[tenant("a", 8, 16, pending=40), tenant("b", 8, 0, pending=8)]), GPU)
    before = found["b"].gpus(OWNED)

    found["a"].take(OWNED, 12)

    assert (before, found["b"].gpus(OWNED), found["b"].gpus(BOUGHT)) == (16, 4, 16)


def test_a_queue_takes_no_more_than_it_may_borrow() -> None:
    found = allowances(state(queues=[tenant("a", 8, 16, pending=40, limit=4), tenant("b", 64, 0)]), GPU)

    assert (found["a"].gpus(OWNED), found["a"].gpus(BOUGHT)) == (12, 16)


def test_a_pool_whose_flavors_are_not_known_is_forbidden_to_nobody() -> None:
    found = allowances(state(queues=[tenant("a", 8, 16, pending=40)]), GPU)

    assert found["a"].gpus(replace(OWNED, flavors=())) == math.inf


def test_who_waits_for_nothing_or_has_no_quotas_needs_no_allowance() -> None:
    assert allowances(state(queues=[tenant("a", 8, 16)]), GPU) == {}
    assert allowances(state(queues=[queue("b", pending=8, quotas=(), cohort=None)]), GPU) == {}


def test_usable_is_what_some_queues_may_have_together() -> None:
    a, b = tenant("a", 8, 16, limit=4), tenant("b", 64, 8, limit=4)
    seen = state([OWNED, BOUGHT], [a, b])

    assert [usable_gpus(seen, OWNED, some) for some in ([a], [b], [a, b], [])] == [12, 68, 72, 0]
    assert usable_gpus(seen, BOUGHT, [a, b]) == 24


def test_all_of_a_pool_is_usable_while_no_queue_is_known() -> None:
    assert usable_gpus(state([OWNED], []), OWNED, []) == math.inf


def test_what_stopped_queues_hold_is_usable_and_what_they_might_is_not() -> None:
    held = replace(tenant("b", 64, 8), quotas=(Quota("owned", H100, 64, 24.0),), active=False)
    a = tenant("a", 8, 16)

    assert usable_gpus(state([OWNED], [a, held]), OWNED, [a, held]) == 32


def test_without_quotas_nothing_binds_but_where_a_queue_may_run() -> None:
    free = queue(quotas=(), cohort=None, allowed_pools=("owned",))
    seen = state([OWNED, BOUGHT], [free])

    assert (usable_gpus(seen, OWNED, [free]), usable_gpus(seen, BOUGHT, [free])) == (math.inf, 0.0)
