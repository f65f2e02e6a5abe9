"""Numbers, times and names as a reader expects them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gyropilot.domain import Effect, Interval
from gyropilot.report.words import (
    count,
    duration,
    less_to_more,
    nothing_expected,
    number,
    percent,
    percent_apart,
    percent_span,
    signed,
    usd,
    visible,
    within,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.001, "0"),
        (0.03, "0.03"),
        (7.44, "7.4"),
        (9.97, "10"),
        (96.4, "96"),
        (1240.4, "1,240"),
        (1_240_000, "1.2 M"),
        (-4, "−4"),
        (float("nan"), "–"),
        (float("-inf"), "–"),
        (None, "–"),
    ],
)
def test_a_number_has_the_digits_that_matter(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_change_has_its_sign() -> None:
    assert [signed(v) for v in (16, -4, 0)] == ["+16", "−4", "0"]


def test_dollars_stand_behind_the_sign() -> None:
    assert [usd(v) for v in (768, -1240.0, 0, float("nan"))] == ["+$768", "−$1,240", "$0", "–"]


def test_one_is_not_many() -> None:
    assert (count(1, "GPU"), count(12, "GPU")) == ("1 GPU", "12 GPUs")


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (timedelta(seconds=20), "20 s"),
        (timedelta(minutes=6), "6 min"),
        (timedelta(hours=3, minutes=20), "3 h 20 min"),
        (timedelta(days=2, hours=4, minutes=9), "2 d 4 h"),
        (None, "–"),
    ],
)
def test_a_duration_has_its_two_largest_units(span: timedelta | None, shown: str) -> None:
    assert duration(span) == shown


def test_a_share_that_was_not_measured_is_not_zero() -> None:
    assert [percent(v) for v in (None, float("nan"), 0.0, 0.71)] == ["–", "–", "0 %", "71 %"]


def test_what_a_terminal_would_obey_is_shown_instead() -> None:
    assert visible("a\x1b[31m\u202eb\ud800\x00") == "a�[31m�b��"


def test_emoji_and_accents_stay() -> None:
    assert visible("équipe 👩‍🚀\n") == "équipe 👩‍🚀\n"


def test_lost_work_is_an_effect() -> None:
    assert nothing_expected(Effect())
    assert not nothing_expected(Effect(lost_gpu_hours=0.1))
    assert not nothing_expected(Effect(usd=Interval(-1, 0, 1)))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-20.0, -8.0, "8.0 to 20.0 % less"),
        (-20.0, 3.0, "20.0 % less to 3.0 % more"),
        (8.0, 1_240.0, "8.0 to 1,240 % more"),
        (-8.0, 0.0, "0.0 to 8.0 % less"),
    ],
)
def test_no_interval_of_what_is_less_has_a_minus(low: float, high: float, words: str) -> None:
    assert less_to_more(low, high) == words
    assert within(low, high) == f" (90 %: {words})"


@pytest.mark.parametrize(
    ("low", "mid", "high", "cells"),
    [
        (-14.6, -9.0, -4.5, ("−9.0 %", "−14.6 to −4.5 %")),
        (-3.0, 0.04, 1_240.0, ("0.0 %", "−3.0 to +1,240 %")),
        (None, 2.0, None, ("+2.0 %", "")),
        (float("nan"), float("nan"), float("nan"), ("–", "")),
    ],
)
def test_tables_tell_percentages_with_their_signs(
    low: float | None, mid: float, high: float | None, cells: tuple[str, str]
) -> None:
    assert (percent_apart(mid), percent_span(low, high)) == cells


def test_where_there_is_no_interval_none_is_told() -> None:
    assert within(None, None) == within(float("nan"), float("nan")) == ""
