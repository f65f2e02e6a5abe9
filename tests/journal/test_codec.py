"""Cycles as JSON: whatever the domain can hold comes back as it was."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gyropilot.domain import (
    ALL_QUEUES,
    Action,
    ClusterState,
    Cycle,
    DemandForecast,
    DemandHistory,
    Interval,
    Line,
    Pool,
    Queue,
    Verdict,
    Workload,
)
from gyropilot.errors import JournalError
from gyropilot.journal.codec import decode, encode, from_json, tail_of, to_json
from tests.fakes import GPU, NOW, history, pool, queue, state, workload
from tests.journal.cycles import HELD, cycle, outcome

TOTAL = Line(ALL_QUEUES, GPU)

moments = st.datetimes(datetime.fromisoformat("1971-01-01"), timezones=st.just(UTC))
durations = st.timedeltas(timedelta(days=-9999), timedelta(days=9999))
plain: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: st.integers(-(2**40), 2**40),
    float: st.floats(),
    bool: st.booleans(),
    datetime: moments,
    timedelta: durations,
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that the domain uses, also ones that make no sense."""
    if kind in plain:
        return plain[kind]
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of(*(st.none() if part is NoneType else anything(part) for part in parts))
    if origin is tuple:
        return st.lists(anything(parts[0]), max_size=2).map(tuple)
    if origin is np.ndarray:
        (dtype,) = get_args(parts[1])
        elements = plain[float] if np.issubdtype(dtype, np.floating) else st.integers(0, 2**40)
        return arrays(dtype, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3), elements=elements)
    if origin is not None:
        return st.dictionaries(anything(parts[0]), anything(parts[1]), max_size=2)
    hints = {} if issubclass(kind, Enum) else get_type_hints(kind)
    return st.builds(kind, **{name: anything(hint) for name, hint in hints.items()}) if hints else st.from_type(kind)


def same(one: Any, other: Any) -> bool:
    """Equal down to the last array, where not a number equals itself."""
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and bool(one == other)


@pytest.mark.parametrize(
    "kind", [Pool, Queue, Workload, Action, Verdict, DemandHistory, ClusterState, DemandForecast, Cycle]
)
def test_whatever_a_noun_holds_comes_back(kind: Any) -> None:
    @settings(max_examples=25, deadline=None)
    @given(anything(kind))
    def comes_back(value: Any) -> None:
        text = json.dumps(encode(value), allow_nan=False)

        assert same(decode(kind, json.loads(text)), value)

    comes_back()


def test_a_whole_cycle_comes_back() -> None:
    whole = replace(cycle(), outcomes=(outcome(),), id=7)

    assert same(from_json(to_json(whole)), whole)


def test_what_was_not_seen_comes_back_as_not_seen() -> None:
    seen = history({"research": [1.0, math.nan, 3.0]})
    whole = cycle(state=state(queues=[queue(utilisation=None)], history=seen))

    back = from_json(to_json(whole))

    assert np.isnan(back.state.history.of(Line("research", GPU))).tolist() == [False, True, False]
    assert back.state.queue("research").utilisation is None
    assert '"values":[1.0,null,3.0]' in to_json(whole)


def test_an_empty_history_comes_back_empty() -> None:
    back = from_json(to_json(cycle(state=state())))

    assert back.state.history.lines == ()
    assert back.state.history.running.shape == (0, 0)
    assert back.state.history.times.dtype == np.int64


def test_of_the_history_only_the_tail_is_kept() -> None:
    """Fourteen days at five minutes; three days are 864 steps."""
    long = history({"research": range(14 * 288)})

    back = from_json(to_json(cycle(state=state(history=long)))).state.history

    assert back.of(Line("research", GPU)).tolist() == list(range(11 * 288, 14 * 288))
    assert back.end == NOW
    assert back.step == timedelta(minutes=5)


def test_of_queues_that_are_gone_it_is_kept_what_the_total_was_with_them() -> None:
    gone = history({"a": [4.0, 4.0, np.nan], "b": [2.0, 0.0, 0.0], "renamed, and seen still": [1.0, 1.0, 1.0]})
    seen = state(history=history({"research": [8.0, 8.0, 8.0]}), gone=gone)

    back = from_json(to_json(cycle(state=seen))).state

    assert back.gone.lines == (TOTAL,)
    assert back.history.with_totals(back.gone).of(TOTAL).tolist() == [14.0, 12.0, 8.0]
    assert seen.history.with_totals(gone).of(TOTAL).tolist() == [14.0, 12.0, 8.0]


def test_the_tail_of_a_short_history_is_all_of_it() -> None:
    short = history({"research": [1.0, 2.0]})

    assert tail_of(short, timedelta(days=2)).of(Line("research", GPU)).tolist() == [1.0, 2.0]
    assert tail_of(short, timedelta(0)).of(Line("research", GPU)).tolist() == [2.0]


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    odd = pool(nodes=np.int64(4), idle_gpus=np.float64(3.5), price_usd_per_gpu_hour=np.float32(2.5))

    back = decode(Pool, json.loads(json.dumps(encode(odd))))

    assert (back.nodes, back.idle_gpus, back.price_usd_per_gpu_hour) == (4, 3.5, 2.5)


def test_a_moment_in_another_zone_comes_back_as_the_same_moment() -> None:
    there = workload(submitted=NOW.astimezone(timezone(timedelta(hours=5))))

    assert decode(Workload, encode(there)).submitted == NOW


def test_figures_that_are_no_numbers_are_words_because_json_has_none() -> None:
    assert encode(Interval(-math.inf, math.nan, math.inf)) == {"low": "-inf", "mid": "nan", "high": "inf"}
    assert math.isnan(decode(Interval, {"low": 0, "mid": "nan", "high": 1}).mid)


def test_names_that_look_like_markup_or_json_are_only_names() -> None:
    odd = queue('<script>"}]\u2028\x00', namespaces=("a\\b",))

    assert decode(Queue, json.loads(json.dumps(encode(odd)))) == odd


def test_a_field_that_an_older_journal_lacks_takes_its_default() -> None:
    older = json.loads(to_json(cycle()))
    del older["mode"]
    del older["state"]["pools"][0]["lead_time"]

    back = from_json(json.dumps(older))

    assert back.mode == "plan"
    assert back.state.pool("h100").lead_time == timedelta(minutes=5)


def test_a_field_that_is_not_known_any_more_is_skipped() -> None:
    older = json.loads(to_json(cycle()))
    older["state"]["pools"][0]["colour"] = "green"

    assert from_json(json.dumps(older)).state.pools == cycle().state.pools


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '{"began_at": "yesterday"}', '{"state": {"pools": 3}}'])
def test_what_is_no_cycle_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(JournalError, match=r"the journal holds something that is no Cycle .* restore it from a backup"):
        from_json(text)


def test_objections_come_back_with_their_rules() -> None:
    back = decode(Verdict, json.loads(json.dumps(encode(HELD))))

    assert [o.rule for o in back.objections] == ["guaranteed-share", "step-cap"]
    assert not back.approved


def test_a_cycle_of_a_large_cluster_is_small_on_the_disk() -> None:
    """16 queues, 1,000 gangs and 14 days of history in under 100 kB."""
    names = [f"team-{i}" for i in range(16)]
    rng = np.random.default_rng(7)
    demand = {name: rng.integers(0, 64, 14 * 288).astype(float).tolist() for name in names}
    gangs = [workload(f"job-{i}", names[i % 16], gpus=int(rng.integers(1, 64))) for i in range(1000)]
    seen = state([pool()], [queue(name) for name in names], gangs, history=history(demand))

    body = zlib.compress(to_json(cycle(state=seen)).encode())

    assert len(body) < 100_000
