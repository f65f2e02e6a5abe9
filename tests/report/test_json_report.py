"""The report as JSON: the shape that programs rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import numpy as np

from gyropilot.domain import ALL_QUEUES, Accelerator, Effect, Interval, Line, Verdict
from gyropilot.report.json_report import to_dict, to_json
from tests.fakes import GPU
from tests.report import samples


def test_has_exactly_these_keys() -> None:
    assert list(to_dict(samples.cycle())) == [
        "decided_at",
        "state",
        "forecast",
        "totals",
        "trust",
        "actions",
        "summary",
    ]


def test_the_time_is_rfc_3339() -> None:
    told = to_dict(samples.cycle())["decided_at"]

    assert told == "2026-03-02T12:00:00Z"
    assert datetime.fromisoformat(told).tzinfo is not None


def test_the_state_has_queues_and_pools() -> None:
    state = to_dict(samples.cycle())["state"]

    queue = next(q for q in state["queues"] if q["name"] == "post-training")
    assert (queue["nominal_gpus"], queue["running_gpus"], queue["pending_gpus"]) == (24, 24.0, 10.0)
    assert queue["running_gpus_by_resource"] == {GPU: 24.0}
    assert (queue["oldest_wait_s"], queue["cohort"]) == (1920.0, "all")
    assert queue["quotas"][0]["flavor"] == "h100"
    pool = state["pools"][0]
    assert (pool["name"], pool["gpus"], pool["idle_gpus"], pool["max_nodes"]) == ("h100-reserved", 112, 6, 20)
    assert (pool["market"], pool["region"], pool["resource"]) == ("reserved", "eu-west-1", GPU)
    assert (pool["lead_time_s"], pool["price_usd_per_gpu_hour"]) == (360.0, 2.0)
    assert (state["workloads"], len(state["notes"])) == (0, 3)
    assert state["freshness_s"] == {"prometheus": 20.0, "kubernetes": 0.0}


def test_a_queue_tells_its_admitted_gpus_that_find_no_node() -> None:
    cycle = samples.cycle()
    first, *others = cycle.state.queues
    short = replace(first, unplaced_gpus={GPU: {"h100": 8.0, "": 4.0}})

    told = to_dict(replace(cycle, state=replace(cycle.state, queues=(short, *others))))["state"]["queues"]

    assert [queue["unplaced_gpus"] for queue in told[:2]] == [12.0, 0]


def test_the_forecast_is_a_table_per_queue() -> None:
    cycle = samples.cycle()

    told = to_dict(cycle)

    assert list(told["forecast"]) == list(samples.TEAMS)
    sandbox = told["forecast"]["sandbox"]
    assert sandbox["horizons_s"][:3] == [300.0, 600.0, 1200.0]
    assert sandbox["quantiles"] == list(samples.QUANTILES)
    assert np.array_equal(sandbox["values"], cycle.forecast.of(Line("sandbox", GPU)))
    assert sandbox["forecaster"] == "auto (lightgbm, ets)"
    assert "by_accelerator" not in sandbox
    assert np.array_equal(told["totals"][GPU]["values"], cycle.forecast.of(Line(ALL_QUEUES, GPU)))


def test_several_accelerators_are_told_apart_and_never_added_up() -> None:
    mig = "nvidia.com/mig-1g.10gb"
    real = samples.cycle()
    lines = (Line("sandbox", GPU), Line("sandbox", mig))
    small, large = np.full((14, 13), 2.0), np.full((14, 13), 30.0)
    both = replace(real.forecast, lines=lines, gpus=np.array([small, large]))

    told = to_dict(replace(real, forecast=both))["forecast"]["sandbox"]

    assert told["resource"] == mig
    assert told["values"][0][0] == 30.0
    assert told["by_accelerator"][GPU][0][0] == 2.0


def test_an_action_that_was_approved() -> None:
    spend = Interval(500.0, 768.0, 1000.0)
    real = samples.cycle()
    wish = replace(samples.APPROVED[0], expected=Effect(usd=spend))
    outcome = replace(real.outcomes[0], action=wish)

    first = to_dict(replace(real, verdicts=(Verdict(wish),), outcomes=(outcome,)))["actions"][0]

    assert set(first) == {
        *("dial", "target", "before", "after", "reason", "expected", "verdict", "objections", "rules", "diff"),
        *("outcome", "subject", "queue"),
    }
    assert (first["dial"], first["before"], first["after"]) == ("pool-size", 14, 16)
    assert (first["verdict"], first["objections"], first["rules"]) == ("approved", [], [])
    assert first["diff"] == "spec.replicas: 14 → 16"
    assert first["expected"]["usd"] == {"low": 500.0, "mid": 768.0, "high": 1000.0}
    assert (first["expected"]["lost_gpu_hours"], first["expected"]["over_h"]) == (0.0, 24.0)


def test_an_action_that_was_held_back() -> None:
    held = to_dict(samples.cycle())["actions"][5]

    assert (held["verdict"], held["rules"]) == ("held back", ["step-cap", "cooldown"])
    assert held["objections"][1].startswith("h100-spot was turned 6 min ago")
    assert (held["diff"], held["outcome"]) == (None, None)


def test_what_is_not_a_number_is_null() -> None:
    told = json.loads(to_json(samples.unseen()), parse_constant=lambda word: f"not JSON: {word}")

    assert told["state"]["pools"][0]["idle_gpus"] is None
    assert told["forecast"]["sandbox"]["values"][0][0] is None
    assert told["actions"][0]["expected"]["usd"] == {"low": None, "mid": None, "high": None}
    assert "not JSON" not in json.dumps(told)


def test_nothing_seen_is_still_one_whole_object() -> None:
    told = json.loads(to_json(samples.empty()))

    assert told["state"]["queues"] == told["state"]["pools"] == told["actions"] == []
    assert (told["forecast"], told["totals"]) == ({}, {})
    assert told["summary"] == "nothing wanted; holding still"


def test_is_ascii_so_that_any_terminal_and_any_locale_takes_it() -> None:
    assert to_json(samples.named("équipe-👩‍🚀")).isascii()


def test_a_pool_without_a_model_says_so_by_an_empty_name() -> None:
    real = samples.cycle()
    bare = replace(real.state.pools[0], accelerator=Accelerator("google.com/tpu"))

    told = to_dict(replace(real, state=replace(real.state, pools=(bare,))))["state"]["pools"][0]

    assert (told["accelerator"], told["resource"]) == ("", "google.com/tpu")
