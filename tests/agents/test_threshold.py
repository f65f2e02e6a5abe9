from __future__ import annotations

from datetime import timedelta

import numpy as np

from agents.pilots import Threshold
from gyropilot.domain import ClusterState
from tests.fakes import pool, queue, state, view


def wanted(seen: ClusterState, pilot: Threshold | None = None) -> dict[str, int]:
    return dict((pilot or Threshold()).steer(view(seen)).pool_gpus)


def demanding(gpus: float, *earlier: float) -> ClusterState:
    """32 GPUs are there; so many are asked for now, and were at the steps before (the newest first)."""
    seen = state([pool(idle_gpus=max(0.0, 32.0 - gpus))], [queue(nominal=256, running=gpus)])
    for steps, past in enumerate(earlier, start=2):
        seen.history.running[:, -steps] = past
    return seen


def test_grows_at_once_to_demand_over_the_target() -> None:
    # 32 / 0.8 = 40.
    assert wanted(demanding(32)) == {"h100": 8}
    assert wanted(demanding(32), Threshold(target=0.5)) == {"h100": 32}


def test_leaves_alone_what_lies_within_the_tolerance() -> None:
    # 28 of 32 are 0.875, which is 9 % above 0.8; 29 are 13 % above, and take 37.
    assert wanted(demanding(28)) == {}
    assert wanted(demanding(29)) == {"h100": 5}
    assert wanted(demanding(29), Threshold(tolerance=0.2)) == {}


def test_what_waits_is_asked_for_and_what_is_coming_is_there() -> None:
    seen = state([pool(idle_gpus=0.0, dial_value=6)], [queue(nominal=256, running=32, pending=16)])

    # 48 / 0.8 = 60, of which 32 are there and 16 coming.
    assert wanted(seen) == {"h100": 12}


def test_shrinks_to_the_largest_size_wanted_within_the_cooldown() -> None:
    # 12 / 0.8 = 15 would do now; 20 / 0.8 = 25 did not, ten minutes ago.
    falling = demanding(12, 12, 20)

    assert wanted(falling) == {"h100": -16}
    assert wanted(falling, Threshold(cooldown=timedelta(minutes=15))) == {}


def test_lets_the_last_node_go_when_nothing_was_asked_for() -> None:
    assert wanted(demanding(0)) == {"h100": -32}


def test_shrinks_nothing_when_the_cooldown_was_not_all_seen() -> None:
    seen = demanding(8)
    seen.history.running[:, -1] = np.nan

    assert wanted(seen) == {}


def test_keeps_no_spare_gpus_that_no_quota_admits() -> None:
    full = state([pool(idle_gpus=0.0)], [queue(nominal=36, running=32)])

    assert wanted(full) == {"h100": 4}


def test_a_cheap_pool_is_filled_before_a_dear_one_begins() -> None:
    pools = [pool("cheap", max_nodes=5, flavors=("h100",)), pool("dear", flavors=("h100",), price_usd_per_gpu_hour=9.0)]

    assert wanted(state(pools, [queue(nominal=256, running=64)])) == {"cheap": 8, "dear": 8}


def test_says_what_is_asked_for_and_what_that_takes() -> None:
    grown, shrunk = (Threshold().steer(view(demanding(gpus))) for gpus in (32, 12))

    assert grown.why("h100") == (
        "32 GPUs are asked for and 32 are there; at 80% in use, as far as quotas admit, it takes 40"
    )
    assert shrunk.why("h100") == (
        "in the last 5 min at most 12 GPUs were asked for and 32 are there; "
        "at 80% in use, as far as quotas admit, it takes 15"
    )


def test_quotas_and_borrowers_are_not_its_business() -> None:
    tenants = [queue("a", nominal=8, running=32), queue("b", nominal=32, pending=32)]

    intent = Threshold().steer(view(state([pool(idle_gpus=0.0)], tenants)))

    assert (intent.quota_gpus, intent.reclaim_gpus) == ({}, {})
