from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from agents.pilots import Newsvendor
from agents.pilots.quotas import QuotaRule
from gyropilot.domain import Line, Queue, View
from tests.fakes import GPU, forecast, pool, queue, state

RULE = QuotaRule(giving_quantile=0.9, ahead=timedelta(hours=1), dead_band_gpus=1)


def moves(queues: list[Queue], demand: dict[str, float], rule: QuotaRule = RULE, spread: float = 0.0) -> dict[str, int]:
    """Quota moved per queue."""
    seen = View(state([pool()], queues), forecast(demand, spread))
    return {line.queue: gpus for line, gpus in rule.moves(seen)[0].items()}


def of(name: str, nominal: int, entitled: int, running: float = 0.0, pending: float = 0.0, **quota: Any) -> Queue:
    """A queue that Gyropilot lent quota, or whose quota it lent."""
    base = queue(name, nominal, running, pending)
    return replace(base, quotas=(replace(base.quotas[0], entitled_gpus=entitled, **quota),))


def test_quota_goes_from_who_will_not_need_it_to_who_waits() -> None:
    assert moves([queue("a", 16), queue("b", 16, 16, 8)], {"a": 6, "b": 24}) == {"a": -8, "b": 8}


def test_quota_goes_to_who_will_need_it_and_may_not_borrow_it() -> None:
    needs_more = of("b", 16, 16, borrowing_limit_gpus=4)

    assert moves([queue("a", 16), needs_more], {"a": 6, "b": 24}) == {"a": -8, "b": 8}


def test_quota_stays_where_borrowing_covers_what_is_forecast() -> None:
    assert moves([queue("a", 16), queue("b", 16)], {"a": 6, "b": 24}) == {}
    assert moves([queue("a", 16), of("b", 16, 16, borrowing_limit_gpus=8)], {"a": 6, "b": 24}) == {}


def test_what_waits_is_owed_quota_whatever_is_forecast() -> None:
    assert moves([queue("a", 16), queue("b", 16, 16, 8)], {"a": 6, "b": 10}) == {"a": -8, "b": 8}


def test_lent_quota_goes_home_from_a_borrower_that_waits_too() -> None:
    owner, other = of("owner", 16, 32, 16, 12), of("other", 48, 32, 34, 40)

    assert moves([owner, other], {"owner": 28, "other": 74}) == {"other": -12, "owner": 12}


def test_lent_quota_goes_home_before_the_owner_waits() -> None:
    owner, other = of("owner", 16, 32), of("other", 48, 32, 34)

    assert moves([owner, other], {"owner": 20, "other": 74}) == {"other": -4, "owner": 4}


def test_an_owner_gets_no_quota_that_work_runs_on() -> None:
    assert moves([of("owner", 16, 32, 16, 16), of("other", 48, 32, 44, 4)], {"owner": 32, "other": 48}) == {
        "other": -4,
        "owner": 4,
    }


def test_a_queue_gives_back_no_more_than_it_was_lent() -> None:
    assert moves([of("owner", 16, 32, 16, 40), of("other", 48, 32)], {"owner": 56, "other": 60}) == {
        "other": -16,
        "owner": 16,
    }


def test_lent_quota_stays_while_its_owner_does_not_need_it() -> None:
    assert moves([of("owner", 16, 32, 8), of("other", 48, 32, 48)], {"owner": 8, "other": 48}) == {}


def test_quota_that_nobody_has_goes_home() -> None:
    assert moves([of("owner", 12, 16), queue("b", 16)], {"owner": 2, "b": 10}) == {"owner": 4}


def test_quota_that_nobody_has_goes_to_who_waits_where_its_owner_does_not_need_it() -> None:
    assert moves([of("owner", 12, 16), queue("b", 16, 16, 4)], {"owner": 12, "b": 20}) == {"b": 4}


def test_what_a_stopped_queue_was_lent_is_not_given_out_again() -> None:
    stopped = replace(of("other", 20, 16), active=False)

    assert moves([of("owner", 12, 16, 12, 4), stopped], {"owner": 16, "other": 0}) == {}


def test_says_the_figures_that_decided() -> None:
    seen = View(state([pool()], [of("a", 16, 12), queue("b", 16, 16, 4)]), forecast({"a": 6, "b": 24}))

    intent = Newsvendor().steer(seen)

    assert intent.why(Line("a", GPU)) == "forecast p90 demand within 60 min is 6 GPUs, its quota is 16, its own 12"
    assert intent.why(Line("b", GPU)) == "4 GPUs wait; forecast p83 demand within 60 min is 24 GPUs, its quota is 16"


def test_a_queue_gives_only_what_lies_above_a_high_quantile() -> None:
    # p90 of 10 with a spread of 0.5 is 14.
    assert moves([queue("a", 16), queue("b", 16, 16, 24)], {"a": 10, "b": 40}, spread=0.5) == {"a": -2, "b": 2}


def test_a_queue_keeps_what_runs_and_waits_now_whatever_is_forecast() -> None:
    assert moves([queue("a", 16, running=10, pending=4), queue("b", 16)], {"a": 0, "b": 40}) == {"a": -2, "b": 2}


def test_a_queue_keeps_its_guarantee() -> None:
    assert moves([queue("a", 16, guaranteed_gpus=12), queue("b", 16)], {"a": 0, "b": 40}) == {"a": -4, "b": 4}


def test_givers_and_takers_share_in_proportion() -> None:
    queues = [queue("a", 16), queue("b", 16), queue("c", 8, 8, 9), queue("d", 8, 8, 3)]

    assert moves(queues, {"a": 4, "b": 10, "c": 17, "d": 11}) == {"a": -8, "b": -4, "c": 9, "d": 3}


def test_nothing_moves_when_nobody_needs_it() -> None:
    assert moves([queue("a", 16), queue("b", 16)], {"a": 2, "b": 15}) == {}


def test_nothing_moves_to_or_from_a_stopped_queue() -> None:
    demand = {"a": 6.0, "b": 24.0}

    assert moves([queue("a", 16, active=False), queue("b", 16)], demand) == {}
    assert moves([queue("a", 16), queue("b", 16, active=False)], demand) == {}


def test_nothing_moves_between_cohorts() -> None:
    assert moves([queue("a", 16, cohort="left"), queue("b", 16, cohort="right")], {"a": 6, "b": 24}) == {}
    assert moves([queue("a", 16, cohort=None), queue("b", 16, cohort=None)], {"a": 6, "b": 24}) == {}


def test_a_queue_never_gives_what_it_would_ask_for_at_once() -> None:
    # Waiting is so dear that it asks at p99, so p99 is also what it keeps.
    dear = queue("a", 16, waiting_usd_per_gpu_hour=1e6)

    assert moves([dear, queue("b", 16)], {"a": 8.5, "b": 40}, spread=0.9) == {}


def test_a_dead_band_leaves_small_moves_alone() -> None:
    banded = replace(RULE, dead_band_gpus=4)

    assert moves([queue("a", 16), queue("b", 16)], {"a": 13, "b": 24}, banded) == {}


def test_a_queue_without_a_forecast_keeps_its_quota() -> None:
    assert moves([queue("a", 16), queue("b", 16)], {"b": 24}) == {}


def test_quotas_stay_where_gpus_are_taken_back() -> None:
    queues = [queue("a", 16), queue("b", 16)]
    seen = View(state([pool()], queues), forecast({"a": 6, "b": 24}))

    assert RULE.moves(seen, still={Line("b", GPU)}) == ({}, {})
