"""A forecast as page, JSON and text, and how sure it is in a plan."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from forecasting.cohorts import with_cohorts
from forecasting.forecasters.outlook import Outlook
from forecasting.mixture.calibration import Coverage
from forecasting.mixture.copula import Copula
from forecasting.mixture.ensemble import SPEAKS_EVERY, WARM_UP, WARM_UP_LINES, WARM_UP_SHARE
from forecasting.mixture.experts import EXPERTS
from forecasting.mixture.lessons import PROMPT
from gyropilot.domain import Line, Realised, Trust
from gyropilot.report import charts, fans, sure
from gyropilot.report import render as render_cycle
from gyropilot.report.forecast import render
from gyropilot.report.forecast.json_report import to_dict
from gyropilot.report.forecast.words import COHORTS_ARE, ahead, cohorts, glance, headline
from tests.fakes import GPU
from tests.report import samples
from tests.report.foretold import SETTINGS, TRUST, foretold

DOCS = Path(__file__).parents[2] / "docs" / "forecasting.md"
CHROMIUM = shutil.which("chromium")
IN_COHORTS = with_cohorts(foretold(), {"research": "labs", "vision": "products"}, Copula.of(foretold().history))
HOSTILE = "<script>document.title='owned'</script>\x1b[31m" + "x" * 180


def test_every_key_of_the_json_is_described_and_no_other() -> None:
    section = DOCS.read_text().split("## `--format json`")[1]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(to_dict(foretold()))


def test_the_documentation_says_what_coverage_counts() -> None:
    said = " ".join(DOCS.read_text().split('**What "how often bands held" counts.**')[1].split("\n\n")[0].split())

    assert (timedelta(minutes=30), timedelta(hours=2), timedelta(days=4)) == (SPEAKS_EVERY, PROMPT, WARM_UP)
    assert (WARM_UP_SHARE, WARM_UP_LINES, Coverage.start([]).half_life) == (0.25, 200, timedelta(days=7))
    assert "every half hour (every hour for windows that end beyond two hours)" in said
    assert "4 days at most, and at most a quarter of the history; of 200 lines" in said
    assert "An outcome a week old counts half as much" in said


def test_json_tells_each_line_at_each_window_and_quantile() -> None:
    told = json.loads(render(foretold(), "json"))

    assert [line["queue"] for line in told["lines"]] == ["", "research", "vision"]
    assert len(told["windows"]) == len(SETTINGS.horizons) + 6
    assert told["windows"][0] == {"start_s": 0, "end_s": 300}
    assert told["windows"][-1] == {"start_s": 167 * 3600, "end_s": 168 * 3600}
    for line in told["lines"]:
        assert len(line["values"]) == len(told["windows"])
        assert {len(row) for row in line["values"]} == {len(told["quantiles"])}


def test_json_tells_whom_each_queue_is_forecast_by() -> None:
    line = to_dict(foretold())["lines"][1]

    assert line["listened_to"]["next hour"] == pytest.approx({"forest": 0.75, "naive": 0.25})


def test_what_was_not_seen_at_last_is_null_and_not_zero() -> None:
    newest = {line["queue"]: line["newest_gpus"] for line in to_dict(foretold())["lines"]}

    assert newest == {"": 32.0, "research": 16.0, "vision": None}


def test_each_format_tells_the_total_of_each_cohort_between_the_cluster_and_its_queues() -> None:
    text, page, told = (render(IN_COHORTS, format_) for format_ in ("text", "html", "json"))

    shown = ["all queues", "cohort labs", "cohort products", "research", "vision"]
    assert re.findall(r"^ (all queues|cohort \w+|research|vision) ", text, re.MULTILINE) == shown
    assert re.findall(r'<tr><th scope="row">([a-z ]+)</th><td>', page.split('id="glance"')[1]) == shown
    assert [(row["cohort"], row["queues"]) for row in json.loads(told)["cohorts"]] == [
        ("labs", ["research"]),
        ("products", ["vision"]),
    ]


def test_json_tells_of_cohorts_what_it_tells_of_queues() -> None:
    told = to_dict(IN_COHORTS)

    of_queue = {line["queue"]: line for line in told["lines"]}
    for cohort, queue, newest in (("labs", "research", 16.0), ("products", "vision", None)):
        row = next(row for row in told["cohorts"] if row["cohort"] == cohort)
        assert row == {
            "cohort": cohort,
            "queues": [queue],
            "resource": GPU,
            "newest_gpus": newest,
            "values": of_queue[queue]["values"],
        }


def test_the_page_draws_a_day_and_a_week_of_each_cohort_and_names_its_queues() -> None:
    page = render(IN_COHORTS, "html")

    assert page.count("<figure>") == 5
    assert page.count('aria-labelledby="c0d-t') == page.count('aria-labelledby="c1w-t') == 1
    assert "research · 16 GPUs" in page.replace("16 GPUs", "16 GPUs")


def test_where_only_the_largest_cohorts_are_drawn_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyropilot.report.forecast.page.DRAWN_QUEUES", 1)

    page = render(IN_COHORTS, "html")

    assert "The 1 largest of 2 cohorts; all are in the table below." in page
    assert page.count('aria-labelledby="c0d-t') == 1
    assert 'aria-labelledby="c1d-t' not in page
    assert "cohort products" in page.split('id="glance"')[1]


def test_what_the_total_of_a_cohort_is_is_said_where_there_is_one() -> None:
    for format_ in ("text", "html"):
        assert COHORTS_ARE in " ".join(render(IN_COHORTS, format_).split())
        assert "ohort" not in render(foretold(), format_)
    assert to_dict(foretold())["cohorts"] == []


def test_the_resource_of_a_cohort_is_told_where_there_are_several() -> None:
    found, mig = foretold(), "nvidia.com/mig-1g.10gb"
    sliced = tuple(Line(line.queue, mig if line.queue == "vision" else GPU) for line in found.demand.lines)
    demand, outlook = (replace(forecast, lines=sliced) for forecast in (found.demand, found.outlook))
    found = replace(found, demand=demand, outlook=outlook, history=replace(found.history, lines=sliced))

    told = with_cohorts(found, {"research": "labs", "vision": "labs"}, Copula.of(found.history))

    assert [row.name for row in cohorts(told)] == [f"cohort labs ({GPU})", f"cohort labs ({mig})"]


def test_one_queue_alone_has_only_its_lines() -> None:
    alone = foretold().of_queue("vision")

    assert [line["queue"] for line in to_dict(alone)["lines"]] == ["vision"]
    assert headline(alone).startswith("Queue vision: ")


def test_the_terminal_tells_every_quantile_of_one_queue() -> None:
    text = render(foretold().of_queue("research"), "text")

    heads = " +".join(f"{100 * q:g} %" for q in SETTINGS.quantiles)
    assert re.search(rf"^ ahead +{heads}$", text, re.MULTILINE)
    assert re.search(rf"^ 7 d ( +\S+){{{len(SETTINGS.quantiles)}}}$", text, re.MULTILINE)


def test_the_terminal_tells_all_queues_at_a_glance_in_a_line_each_and_why() -> None:
    text = render(foretold(), "text")

    assert re.findall(r"^ (all queues|research|vision) ", text, re.MULTILINE) == ["all queues", "research", "vision"]
    assert "ahead" not in text
    assert "All horizons and quantiles of a queue: --queue NAME" in text
    assert "· next hour: listens to forest 75 %, naive 25 %\n" in text
    assert "· next hour: of outcomes of late lay 81 % in 80 % bands, 94 % in 95 % bands (1,240 outcomes of" in text
    assert "· demand of queue vision has shifted since 09:30 UTC" in text
    assert "· spring festival (holiday)" in text


def test_a_queue_cannot_command_the_terminal() -> None:
    found = foretold(("research", "\x1b[31mred"))

    assert "\x1b" not in render(with_cohorts(found, {"research": "\x1b[32mgreen"}, Copula.of(found.history)), "text")


def test_the_headline_and_the_glance_tell_the_peak_of_the_day_and_not_its_end() -> None:
    found = foretold()
    total, table = found.demand.lines.index(Line("", GPU)), found.demand.gpus.copy()
    table[total] = 4.0
    at_six = found.demand.horizons.index(timedelta(hours=6))
    table[total, at_six, found.demand.quantiles.index(0.5) :] = 40.0
    table[total, at_six + 1, found.demand.quantiles.index(0.9) :] = 48.0
    peaked = replace(found, demand=replace(found.demand, gpus=table))

    then = ahead(found.demand.horizons[at_six + 1])
    assert headline(peaked) == (
        f"All queues: 32 GPUs now, within 24 h the median peaks at 40 GPUs in 6 h, the 90 % quantile at 48 in {then}"
    )
    assert glance(peaked, Line("", GPU))[-2] == "40 in 6 h (90 %: 48)"


def test_the_outlook_is_said_to_be_of_this_time_of_day_in_every_format() -> None:
    told = {format_: " ".join(render(foretold(), format_).split()) for format_ in ("text", "json", "html")}

    assert [name for name, words in told.items() if "the hour that ends then, at this time of day" not in words] == []


def test_no_line_joins_the_hours_of_the_outlook() -> None:
    drawn = fans.fan(foretold().history, foretold().demand, Line("", GPU), timedelta(days=1))
    last = f"{charts.SMALL.width - charts.SMALL.right} "

    joined = str(charts.fan_chart(drawn, charts.SMALL, "a", "all"))
    apart = str(charts.fan_chart(replace(drawn, joined=3), charts.SMALL, "b", "all"))

    assert [last in d for d in re.findall(r'<path d="([^"]+)" class="(?:median|inner|outer)"', joined)] == [True] * 3
    assert [last in d for d in re.findall(r'<path d="([^"]+)" class="(?:median|inner|outer)"', apart)] == [False] * 3
    assert len(re.findall(r'<line [^>]+class="median"', apart)) == len(drawn.ahead_s) - 3


def test_a_queue_of_which_under_a_day_was_seen_is_said_to_be_a_guess_in_every_format() -> None:
    found = foretold()
    row = found.history.lines.index(Line("vision", GPU))
    seen = found.history.running.copy()
    seen[row, :-5] = np.nan  # the last two are not seen either
    found = replace(found, history=replace(found.history, running=seen))

    told = {format_: render(found, format_) for format_ in ("text", "json", "html")}

    assert [name for name, words in told.items() if "Queue vision: seen for 15 min only: a guess" not in words] == []
    assert "a guess" not in render(foretold(), "text") + render(found.of_queue("research"), "text")


@pytest.mark.parametrize(
    ("horizon", "words"),
    [
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=24), "24 h"),
        (timedelta(hours=48), "2 d"),
        (timedelta(minutes=90), "1 h 30 min"),
    ],
)
def test_horizons_are_said_as_people_say_them(horizon: timedelta, words: str) -> None:
    assert ahead(horizon) == words


def test_the_page_draws_a_day_and_a_week_of_each_queue() -> None:
    page = render(foretold(), "html")

    assert page.count("<figure>") == 3  # the total and two queues
    assert page.count('aria-labelledby="q0d-t') == page.count('aria-labelledby="q0w-t') == 1
    assert "81 %" in page
    assert "what followed moments like this one, in any queue" in page


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")
@pytest.mark.parametrize("width", [380, 1280])
def test_the_page_opens_offline_fits_and_is_silent(tmp_path: Path, width: int) -> None:
    place, said = tmp_path / "forecast.html", list[str]()
    found = foretold(("research", HOSTILE))
    found = with_cohorts(found, {HOSTILE: HOSTILE}, Copula.of(found.history))
    place.write_text(render(found, "html"), encoding="utf-8")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("console", lambda message: said.append(message.text))
        page.goto(place.as_uri())
        wide, title = page.evaluate("document.documentElement.scrollWidth"), page.title()
        browser.close()

    assert wide <= width
    assert title.endswith("Gyropilot forecast, Mon 2 Mar 2026, 12:00 UTC")
    assert said == []


def test_a_plan_says_how_sure_its_forecast_is_in_every_format() -> None:
    real = samples.cycle()
    trusted = replace(real, forecast=replace(real.forecast, trust=TRUST))

    page, text, told = (render_cycle(trusted, f) for f in ("html", "text", "json"))

    assert "How sure the forecast is" in page
    assert "forest 75\N{NO-BREAK SPACE}%, naive 25\N{NO-BREAK SPACE}%" in page
    assert "forest 75 %, naive 25 %" in text
    assert json.loads(told)["trust"]["listened_to"]["next hour"] == {"forest": 0.75, "naive": 0.25}
    assert json.loads(told)["trust"]["realised"][0]["coverage"] == 0.81


def test_text_tells_the_coverage_of_totals_as_the_page_does() -> None:
    counted = [Realised(g, "1-6h", n, c, 1240.0) for g, n, c in (("queues", 0.8, 0.81), ("totals", 0.8, 0.66))]
    told = replace(foretold().demand, trust=Trust(realised=tuple(counted)))

    assert sure.sentences(told) == [
        "1\N{EN DASH}6 h: of outcomes of late lay 81 % in 80 % bands (1,240 outcomes of queues)",
        "1\N{EN DASH}6 h: of outcomes of late lay 66 % in 80 % bands (1,240 outcomes of totals)",
    ]


def test_how_often_bands_of_cohorts_held_is_told_where_any_are_counted() -> None:
    counted = Realised("cohorts", "next hour", 0.8, 0.74, 60.0)
    plain = replace(foretold(), demand=replace(foretold().demand, trust=TRUST))
    told = replace(plain, demand=replace(plain.demand, trust=replace(TRUST, realised=(*TRUST.realised, counted))))
    sentence = "next hour: of outcomes of late lay 74 % in 80 % bands (60 outcomes of cohorts)"

    assert sentence in sure.sentences(told.demand)
    assert sure.passage(told.demand)["rows"][0]["cells"][:3] == ["81 %", "77 %", "74 %"]
    assert '<th scope="col">cohorts</th>' in render(told, "html")
    assert '<th scope="col">cohorts</th>' not in render(plain, "html")


def test_bands_that_held_far_too_little_are_warned_of_in_every_format() -> None:
    counted = Realised("totals", "1-6h", 0.8, 0.64, 90.0)
    told = replace(foretold().demand, trust=Trust(realised=(counted,)))
    warning = "1\N{EN DASH}6 h: 80 % bands of totals held only 64 % of late: they are too narrow, leave room"

    assert sure.sentences(told)[-1] == warning
    assert sure.passage(told)["sentences"] == [warning]
    assert warning in " ".join(render(replace(foretold(), demand=told), "html").split())


def test_a_plan_claims_nothing_where_nothing_was_measured() -> None:
    real = samples.cycle()

    assert "How sure" not in render_cycle(real, "html")
    assert "How sure" not in render_cycle(real, "text")


def test_experts_that_are_hardly_listened_to_are_left_out() -> None:
    assert sure.listened(TRUST.voices, "1-6h") == "forest 99 %"


def test_every_expert_is_said_what_it_goes_by() -> None:
    assert {*(kind.name for kind in EXPERTS), Outlook.name} <= set(sure.MEANINGS)


def test_what_was_not_counted_is_a_dash() -> None:
    row = sure.passage(replace(foretold().demand, trust=TRUST))["rows"][1]

    assert row == {"name": "1\N{EN DASH}6 h", "listened": "forest 99\N{NO-BREAK SPACE}%", "cells": ["\N{EN DASH}"] * 4}


def test_a_model_that_does_not_learn_has_no_passage() -> None:
    assert sure.sentences(replace(foretold().demand, trust=Trust())) == []


def test_lines_come_totals_first_and_then_by_what_is_expected() -> None:
    assert [*foretold().largest_first()] == [Line("", GPU), Line("research", GPU), Line("vision", GPU)]
