"""The report for a terminal."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from gyropilot.domain import DemandHistory
from gyropilot.report import render
from gyropilot.report.text import show, sparkline, to_text
from tests.report import samples


def test_the_last_line_is_the_summary() -> None:
    assert to_text(samples.cycle()).splitlines()[-1] == "8 wanted, 3 held back, 5 rehearsed"


def test_a_quota_of_a_queue_with_several_flavors_is_told_with_its_flavor() -> None:
    told = " ".join(" ".join(to_text(samples.of_two_flavors(), width=200).split()).split("Actions")[1].split())

    assert "lower queue-quota of vision on h100-on-demand from 16 to 13 GPUs" in told
    assert "lower queue-quota of audio from 8 to 7 GPUs" in told


def test_says_first_what_would_change_and_that_nothing_was() -> None:
    lines = to_text(samples.cycle()).splitlines()

    assert lines[0] == "Gyropilot · plan · Mon 2 Mar 2026, 12:00 UTC"
    assert lines[1].startswith("5 changes would save about $412 and 202 GPU-hours of waiting")
    assert lines[2] == "Nothing was changed. This is a plan."


@pytest.mark.parametrize(
    "fact",
    [
        "post-training",
        "24 → 30",
        "h100-reserved",
        "112 → 128",
        "✗ floors: vision-research would drop to 7 GPUs, guaranteed 8",
        "spec.active: true → false",
        "· queue sandbox: no target wait told; 10 min assumed",
        "waiting −202 (−278 to −136) GPU-hours",
    ],
)
def test_tells(fact: str) -> None:
    assert fact in to_text(samples.cycle(), width=200)


@pytest.mark.parametrize("width", [40, 80, 160])
def test_keeps_to_its_width(width: int) -> None:
    assert max(len(line) for line in to_text(samples.cycle(), width).splitlines()) <= width


def test_a_sparkline_goes_from_lowest_to_highest() -> None:
    assert sparkline(np.array([0.0, 3.5, 7.0])) == "▁▅█"


def test_a_flat_sparkline_stays_in_the_middle() -> None:
    assert sparkline(np.array([12.0, 12.0])) == "▄▄"


def test_nothing_seen_is_told_in_words() -> None:
    told = to_text(samples.empty())

    assert "No queue was seen." in told
    assert "No pool of GPUs was seen." in told


def test_no_history_is_summed_for_a_table_so_that_a_thousand_queues_take_seconds() -> None:
    class Unsummed(DemandHistory):
        def with_totals(self, gone: DemandHistory | None = None) -> DemandHistory:
            raise AssertionError("the sum over all queues is drawn nowhere in text")

    crowd = samples.crowded(60)
    past = crowd.state.history
    history = Unsummed(past.lines, past.times, past.running, past.pending)

    told = to_text(replace(crowd, state=replace(crowd.state, history=history)))

    assert "team-059" in told


def test_what_is_not_known_is_a_dash() -> None:
    told = to_text(samples.unseen())

    assert "work lost: not known" in told
    assert "nan" not in told.lower()


@given(name=st.text(min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_no_name_can_command_the_terminal(name: str) -> None:
    told = to_text(samples.named(name), width=120)

    assert {c for c in told if unicodedata.category(c) in ("Cc", "Cs")} <= {"\n", "\t"}


def test_markup_in_a_name_is_shown_and_not_obeyed() -> None:
    assert "[bold]x[/bold]" in to_text(samples.named("[bold]x[/bold]"), width=120)


def test_colours_where_the_terminal_has_them() -> None:
    paper = StringIO()

    show(samples.cycle(), Console(file=paper, width=100, force_terminal=True, color_system="standard"))

    assert "\x1b[32mapproved" in paper.getvalue()


def test_render_knows_the_three_formats() -> None:
    cycle = samples.cycle()

    assert render(cycle, "text").startswith("Gyropilot · plan")
    assert render(cycle, "json").startswith("{")
    assert render(cycle, "html").startswith("<!DOCTYPE html>")
