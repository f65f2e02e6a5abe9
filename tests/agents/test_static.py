from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.pilots import Hold, Static
from tests.fakes import GPU, history, pool, queue, state, view


def test_hold_wants_nothing() -> None:
    seen = state([pool(idle_gpus=0.0)], [queue(nominal=64, running=32, pending=64)])

    intent = Hold().steer(view(seen))

    assert (intent.pool_gpus, intent.quota_gpus, intent.reclaim_gpus) == ({}, {}, {})


def test_static_sizes_for_a_quantile_of_the_past() -> None:
    demand = [20.0] * 90 + [48.0] * 10
    seen = state([pool(idle_gpus=12.0)], [queue(nominal=64, running=20)], history=history({"research": demand}))

    intent = Static(quantile=0.95).steer(view(seen))

    assert intent.pool_gpus == {"h100": 16}
    assert intent.why("h100") == "p95 of past demand is 48 GPUs, 32 are there"


def test_static_counts_coming_nodes_once() -> None:
    seen = state([pool(dial_value=6)], [queue()], history=history({"research": [48.0] * 100}))

    assert Static().steer(view(seen)).pool_gpus == {}


def test_static_shrinks_only_what_is_idle() -> None:
    seen = state([pool(idle_gpus=8.0)], [queue()], history=history({"research": [4.0] * 100}))

    assert Static().steer(view(seen)).pool_gpus == {"h100": -8}


def test_static_sums_queues_before_it_takes_the_quantile() -> None:
    turns = {"a": [40.0, 0.0] * 50, "b": [0.0, 40.0] * 50}
    seen = state([pool()], [queue("a"), queue("b")], history=history(turns))

    assert Static().steer(view(seen)).pool_gpus == {"h100": 8}


def test_static_without_a_past_wants_nothing() -> None:
    unseen = history({"research": [np.nan] * 10})

    assert Static().steer(view(state([pool()], [queue()], history=unseen))).pool_gpus == {}
    assert Static().steer(view(state([pool()], []))).pool_gpus == {}


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_a_quantile_is_numpys(demand: list[float], quantile: float) -> None:
    seen = state([pool()], [queue()], history=history({"research": demand}))

    assert Static(quantile)._past_quantile(seen, GPU) == np.quantile(demand, quantile)
