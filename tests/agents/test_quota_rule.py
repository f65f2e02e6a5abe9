from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from agents.pilots import Newsvendor
from agents.pilots.quotas import QuotaRule
from gyropilot.domain import Line, Queue, View
from tests.fakes import GPU, forecast, pool, queue, state

RULE = QuotaRule(giving_quantile=0.9, ahead=timedelta(hours=1), dead_band_gpus=1)


def moves(queues: list[Queue], demand: dict[str, float], rule: QuotaRule = RULE, spread: float = 0.0) -> dict[str, int]:
    """Quota moved per queue."""
    seen = View(state([pool()], queues), forecast(demand, spread))
    return {line.queue: gpus for line, gpus in rule.moves(seen)[0].items()}


def test_quota_goes_from_who_will_not_need_it_to_who_will() -> None:
    assert moves([queue("a", 16), queue("b", 16)], {"a": 6, "b": 24}) == {"a": -8, "b": 8}


def test_says_the_figures_that_decided() -> None:
    seen = View(state([pool()], [queue("a", 16), queue("b", 16)]), forecast({"a": 6, "b": 24}))

    intent = Newsvendor().steer(seen)

    assert intent.why(Line("a", GPU)) == "forecast p90 demand within 60 min is 6 GPUs, its quota is 16"
    assert intent.why(Line("b", GPU)) == "forecast p83 demand within 60 min is 24 GPUs, its quota is 16"


def test_a_queue_gives_only_what_lies_above_a_high_quantile() -> None:
    # p90 of 10 with a spread of 0.5 is 14.
    assert moves([queue("a", 16), queue("b", 16)], {"a": 10, "b": 40}, spread=0.5) == {"a": -2, "b": 2}


def test_a_queue_keeps_what_runs_and_waits_now_whatever_is_forecast() -> None:
    assert moves([queue("a", 16, running=10, pending=4), queue("b", 16)], {"a": 0, "b": 40}) == {"a": -2, "b": 2}


def test_a_queue_keeps_its_guarantee() -> None:
    assert moves([queue("a", 16, guaranteed_gpus=12), queue("b", 16)], {"a": 0, "b": 40}) == {"a": -4, "b": 4}


def test_givers_and_takers_share_in_proportion() -> None:
    queues = [queue("a", 16), queue("b", 16), queue("c", 8), queue("d", 8)]

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
