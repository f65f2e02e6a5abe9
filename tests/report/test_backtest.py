"""A backtest told: the same facts as text, JSON and a page, deaf to what names say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from forecasting.backtest.result import Result, result
from forecasting.backtest.run import Replay
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.seasonal_naive import SeasonalNaive
from gyropilot.domain import DemandHistory
from gyropilot.report.backtest import render
from gyropilot.report.backtest.words import asked_of, figure, headline, milliseconds, percent, percent_span
from tests.forecasting.backtest.samples import HOUR, MIDNIGHT, Says, backtested, hourly, replayed, stranger

CHROMIUM = shutil.which("chromium")
HOSTILE = "<script>document.title='owned'</script>\"'🚀" + "x" * 210
NAN = float("nan")


def gangs(names: tuple[str, ...] = ("research", "serving"), days: int = 9, step: timedelta = HOUR / 6) -> DemandHistory:
    """Demand that stands still for hours and jumps."""
    rng = np.random.default_rng(3)
    count = days * timedelta(days=1) // step
    return hourly(
        {name: np.repeat(rng.integers(0, 12, count // 12 + 1) * 8.0, 12)[:count].tolist() for name in names}, step
    )


BUCKETS = ("next hour", "1h", "1-6h", "1-24h")


@cache
def full() -> Result:
    peers = [stranger("better", lambda newest: newest + 1), stranger("worse", lambda newest: newest + 5)]
    return backtested(gangs(), [SeasonalNaive(), Naive(), Says("third")], peers, buckets=BUCKETS)


def hostile() -> Result:
    return result(replayed(gangs((HOSTILE, "b")), [Says(HOSTILE), Naive()], [stranger("p" + HOSTILE)]), [HOSTILE])


def bare() -> Result:
    """One model, one bucket, one origin, demand that was never there."""
    return backtested(hourly({"a": [0.0] * 72}), [Says("alone")], begin=MIDNIGHT + 70 * HOUR)


def unseen() -> Result:
    history = gangs()
    history.running[0] = NAN
    history.running[1, history.demand.shape[1] * 3 // 4 :] = NAN
    return backtested(history, [Naive()], buckets=BUCKETS)


def crowded() -> Result:
    return backtested(gangs(tuple(f"q{n}" for n in range(230)), days=6, step=HOUR), [SeasonalNaive(), Naive()])


PAGES: dict[str, Callable[[], Result]] = {
    "full": full,
    "hostile": hostile,
    "bare": bare,
    "unseen": unseen,
    "crowded": crowded,
}


def test_the_headline_tells_the_distance_to_the_best_peer_at_first_and_over_all() -> None:
    found = full()

    row = found.row("naive", "1-24h")
    assert row.versus_peer is not None
    far = row.versus_peer["wql"].percent.value
    assert re.fullmatch(
        rf"naive loses [\d.]+ % less than the best peer for the next hour, {abs(far):.1f} % less for 1–24h",
        headline(found),
    )


def test_without_peers_the_summary_tells_the_distance_to_naive_with_its_interval() -> None:
    found = backtested(gangs(), [SeasonalNaive(), Says("third"), Naive()], buckets=BUCKETS)

    row = found.row("third", "1-24h")
    assert row.versus_plain is not None
    score = row.versus_plain["wql"].percent
    less = f"{abs(score.value):.1f} % {'less' if score.value < 0 else 'more'}"
    assert re.search(r"; against naive [\d.]+ % (less|more) \[.+ to .+ %\] for the next hour, ", headline(found))
    assert f", {less} [{percent_span(score)}] for 1–24h" in headline(found)
    assert "Against naive " in render(found, "html")


@pytest.mark.parametrize("format_", ["text", "json", "html"])
def test_intervals_from_few_days_are_not_to_be_trusted(format_: Literal["text", "json", "html"]) -> None:
    few, many = full(), backtested(gangs(days=18, step=HOUR), [SeasonalNaive(), Naive()], buckets=("1h",))

    assert (few.days, many.days) == (3, 7)
    assert "ntervals from 3 days only: not to be trusted" in render(few, format_)
    assert "not to be trusted" not in render(many, format_)


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0000421, "0.042"), (0.00131, "1.3"), (0.2404, "240"), (1.3, "1,300"), (NAN, "–")]
)
def test_times_are_plain_numbers(seconds: float, told: str) -> None:
    assert milliseconds(seconds) == told


def test_without_peers_the_first_row_is_what_is_beaten() -> None:
    better = Says("better", lambda newest: newest + 1)

    found = backtested(hourly({"a": [8.0] * 216}), [Says("first", lambda newest: newest + 2), better])

    assert headline(found) == "better loses 50.0 % less than first for 1h"


def test_a_loss_many_times_as_large_is_told_in_round_numbers() -> None:
    worse = Says("worse", lambda newest: newest + 41)

    found = backtested(hourly({"a": [8.0] * 216}), [Says("first", lambda newest: newest + 2), worse])

    assert headline(found) == "worse loses 1,950 % more than first for 1h"


@pytest.mark.parametrize(("bucket", "hours"), [("1-6h", 6), ("1-24h", 24), ("1-48h", 24)])
def test_the_page_says_how_many_hours_its_pictures_show(bucket: str, hours: int) -> None:
    found = backtested(gangs(step=HOUR), [SeasonalNaive(), Naive()], buckets=(bucket,))

    assert f"what naive said of the {hours} hours that follow" in render(found, "html")


def test_where_nothing_was_demanded_nobody_loses_more_or_less() -> None:
    nothing = hourly({"idle": [0.0] * 24 * 9})
    rows = [Says("first", lambda newest: newest + 2), Says("better", lambda newest: newest + 1)]

    found = backtested(nothing, rows)

    said = render(found, "text")
    assert headline(found) == "there was no demand in what was scored, so that nobody can say who loses more of it"
    assert "less" not in said
    assert [cells[-2] for cells in (line.split() for line in said.splitlines()) if cells[:1] == ["better"]] == ["–"]


def test_a_difference_too_small_to_tell_is_none() -> None:
    flat = hourly({"a": [8.0] * 24 * 9})
    rows = [Says("first", lambda newest: newest + 1), Says("same", lambda newest: newest + 0.9999)]

    assert headline(backtested(flat, rows)) == "same loses as much as first for 1h"


def test_a_model_alone_is_told_by_its_loss() -> None:
    found = backtested(hourly({"a": [8.0] * 216}), [Says("alone", lambda newest: newest + 2)])

    assert headline(found) == "alone: WQL 0.2500 for 1h"


def test_what_was_tested_is_said_in_one_line() -> None:
    assert asked_of(full()) == "24 origins from 8 Mar 00:00 to 10 Mar 2026 21:00 UTC, 2 queues"
    assert asked_of(backtested(gangs(), [Naive()], totals=True)).endswith(", 1 total")


@pytest.mark.parametrize(
    ("value", "told"), [(0.03111, "0.0311"), (7.777, "7.78"), (124.4, "124"), (1240.0, "1,240"), (NAN, "–")]
)
def test_figures_have_the_digits_that_matter(value: float, told: str) -> None:
    assert figure(value) == told


def test_percentages_have_their_sign() -> None:
    score = full().row("naive", "1h").versus_first["wql"].percent

    assert (percent(-12.34), percent(3.21), percent(NAN)) == ("−12 %", "+3.2 %", "–")
    assert re.fullmatch(r"[−+][\d.]+ to [−+][\d.]+ %", percent_span(score))


def test_text_has_a_table_per_bucket_and_ends_with_the_headline() -> None:
    told = render(full(), "text")

    lines = told.splitlines()
    assert [line for line in lines if line in BUCKETS] == list(BUCKETS)
    assert lines[-1] == headline(full())
    assert max(map(len, lines)) <= 120
    assert "WQL vs best peer" in told


def test_json_is_whole_where_nothing_is_known() -> None:
    told = json.loads(render(bare(), "json"))

    row = told["rows"][0]
    assert (row["wql"], row["mase"], row["intervals"]["wql"]) == (None, None, [None, None])
    assert row["coverage80"] == 1.0
    assert told["summary"] == "alone: WQL – for 1h"


def test_json_names_the_best_peer_of_each_score() -> None:
    versus = json.loads(render(full(), "json"))["rows"][0]["vs_best_peer"]

    assert list(versus) == ["wql", "peer", "p95", "p95_peer", "p99", "p99_peer"]
    assert versus["peer"] == "better"


def test_the_page_tells_what_the_json_tells() -> None:
    page = render(full(), "html")

    row = full().row("naive", "1h")
    assert f"{row.scores['wql'].value:.4f}" in page
    assert page.count("<tr class=") == 4 * 5
    assert 'class="ours"' in page


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_one_file_without_a_script(name: str) -> None:
    page = render(PAGES[name](), "html")

    assert "<script" not in page
    assert not re.search(r'(?:href|src)="(?!data:|#)', page)
    assert len(page) < 1_000_000


def test_identifiers_of_pictures_do_not_repeat() -> None:
    found = re.findall(r'\bid="([^"]+)"', render(full(), "html"))

    assert len(found) == len(set(found))


def test_of_many_queues_the_largest_are_told() -> None:
    page = render(crowded(), "html")

    assert page.count('<th scope="row">q') == 200
    assert "the 30 smaller ones are in" in page


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")
@pytest.mark.parametrize("width", [360, 1280])
def test_opens_offline_fits_and_is_silent(tmp_path: Path, width: int) -> None:
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        for name, found in PAGES.items():
            (tmp_path / f"{name}.html").write_text(render(found(), "html"), encoding="utf-8")
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.on("console", lambda message: said.append(message.text))
            page.goto((tmp_path / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.title() != "owned"
            page.close()
        browser.close()

    assert said == []


def test_the_replay_is_told_as_it_was() -> None:
    replay: Replay = full().replay

    assert replay.models == ("seasonal-naive", "naive", "third", "better", "worse")
    assert replay.drawn.model == "naive"
