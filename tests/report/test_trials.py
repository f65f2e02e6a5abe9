"""Pilots side by side, told: the same facts as text, JSON and a page, deaf to what names say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from envs.faults import Bias, Blind, Demand, Outage, Stuck
from envs.foresight import Plan
from envs.tally import HOUR_S, Ran, tally
from envs.terms import KINDS
from envs.workloads import DAY_S, JobTable
from gyropilot.report import simulation, trials
from gyropilot.report.courses import WIDE, Course, course_chart, moments, shared, tamed
from gyropilot.report.simulation import Simulation
from gyropilot.report.simulation.course import course_of as course_of_simulation
from gyropilot.report.simulation.words import hours
from gyropilot.report.stairs import Stair, stair_area, stair_line
from gyropilot.report.svg import Scale
from gyropilot.report.trials import Trials
from gyropilot.report.trials.courses import course_of, layer_names
from gyropilot.report.trials.words import headline
from tests.report import trialled
from tests.report.hosting import CHAT, answered
from tests.report.trialled import QUEUES

CHROMIUM = shutil.which("chromium")
HOSTILE = "<script>document.title='owned'</script>\"'&amp;🚀\u202e" + "x" * 210
VOID = {"meta", "link", "br", "hr", "img", "input"}


@cache
def full() -> Trials:
    return trialled.trials()


def alone() -> Trials:
    return trialled.trials({"hold": 600.0}, days=1.5, bound_usd=None)


def hostile() -> Trials:
    jobs = trialled.jobs_of((HOSTILE, "b"))
    pools = (replace(trialled.OWNED, name=HOSTILE), trialled.BOUGHT, trialled.SPOT)
    tried = tuple(trialled.trial(name, jobs, pools) for name in (HOSTILE, "b"))
    return Trials(HOSTILE, trialled.as_file(jobs, HOSTILE), tried, trialled.bound_of(10.0))


@cache
def crowded() -> Trials:
    """Thirty days of ten pilots on nine pools, at times of the calendar."""
    jobs = trialled.jobs_of(tuple(f"queue-{n}" for n in range(230)), days=30, many=4_600)
    pools = tuple(replace(trialled.BOUGHT, name=f"pool-{n}", max_nodes=5 + 3 * n) for n in range(9))
    tried = tuple(trialled.trial(f"pilot-{n}", jobs, pools, 30, 300.0 * (n + 1)) for n in range(10))
    return Trials("a large cluster", trialled.as_file(jobs), tried, trialled.bound_of(2e5), began_s=1_699_999_800.0)


def free() -> Trials:
    """Nobody pays anything, nothing is there, nobody waits."""
    (idle,) = trialled.trials({"hold": 600.0}, days=2.0, bound_usd=0.0).trials
    nothing = idle.flows._replace(**{name: getattr(idle.flows, name) * 0 for name in idle.flows._fields})
    idle = replace(idle, flows=nothing, usd=idle.usd * 0, start_s=idle.start_s + np.inf)
    return Trials("nothing", trialled.as_file(idle.jobs), (idle,), trialled.bound_of(0.0))


def serving() -> Trials:
    found = trialled.trials({"hold": 9_000.0, "reactive": 1_200.0})
    rough = answered(replace(CHAT, name=HOSTILE), gone=0.9)
    return replace(found, services=((rough, answered()), (answered(), rough)))


def crowd() -> Simulation:
    return trialled.simulation(tuple(f"team-{n}" for n in range(60)))


def wrong() -> Trials:
    return replace(full(), faults=FAULTS)


PAGES: dict[str, Callable[[], str]] = {
    "full": lambda: trials.render(full(), "html"),
    "wrong": lambda: trials.render(wrong(), "html"),
    "alone": lambda: trials.render(alone(), "html"),
    "hostile": lambda: trials.render(hostile(), "html"),
    "crowded": lambda: trials.render(crowded(), "html"),
    "free": lambda: trials.render(free(), "html"),
    "served": lambda: trials.render(serving(), "html"),
    "plain": lambda: simulation.render(trialled.simulation(), "html"),
    "plain crowd": lambda: simulation.render(crowd(), "html"),
    "plain hostile": lambda: simulation.render(trialled.simulation((HOSTILE, "b")), "html"),
}


@cache
def drawn(name: str) -> str:
    return PAGES[name]()


def test_the_headline_says_who_is_cheapest_by_how_much_and_how_far_over_the_bound() -> None:
    found = full()

    best, second = found.ranking[:2]
    less = 100 * (1 - best.total_usd / second.total_usd)
    over = 100 * (best.total_usd / 2_000 - 1)
    assert re.fullmatch(
        rf"newsvendor is cheapest: {less:.1f} % less than reactive \(90 %: [\d.]+ to [\d.]+ % less\); "
        rf"{over:,.0f} % over the bound",
        headline(found),
    )


def test_a_lead_that_days_drawn_anew_may_reverse_is_not_sure() -> None:
    one, other = trialled.trials({"a": 600.0, "b": 600.0}, days=8.0, bound_usd=None).trials
    day = np.repeat(np.arange(8), len(other.usd) // 8)[:, None]
    other = replace(other, usd=one.usd * np.where(day % 2, 1.5, 0.52))

    told = headline(Trials("w", trialled.as_file(one.jobs), (one, other), None))

    assert re.fullmatch(
        r"a is cheapest, but not surely: [\d.]+ % less than b \(90 %: [\d.]+ % less to [\d.]+ % more\)", told
    )


def test_one_pilot_is_told_by_what_it_paid() -> None:
    assert headline(alone()) == f"hold paid {alone().trials[0].total_usd:,.0f} USD"


def test_those_who_paid_the_same_are_told_together() -> None:
    one = trialled.trials({"hold": 600.0}, days=2.0, bound_usd=None)
    same = replace(one, trials=tuple(replace(one.trials[0], pilot=name) for name in ("hold", "static", "reactive")))

    assert headline(same) == f"hold, static and reactive paid the same, {one.trials[0].total_usd:,.0f} USD"


def test_nobody_is_called_cheapest_who_paid_the_same() -> None:
    one = trialled.trials({"hold": 600.0}, days=2.0)
    paid = trialled.bound_of(one.trials[0].total_usd)
    same = replace(one, trials=(one.trials[0], replace(one.trials[0], pilot="static")), bound=paid)

    assert headline(same).endswith("; no more than the bound")
    assert '"chip">cheapest' not in trials.render(same, "html")
    assert '"chip">cheapest' in drawn("full")


def test_where_nothing_was_paid_that_is_said() -> None:
    assert headline(free()) == "nothing was paid"
    assert "nothing waited" in drawn("free")


def test_a_plan_that_knew_all_jobs_stands_beside_the_bound() -> None:
    plan = Plan(np.zeros((1, 3), np.int64), 2_500.0, np.array([2_000.0, 500.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    found = replace(full(), plan=plan)

    text = trials.render(found, "text")

    assert json.loads(trials.render(found, "json"))["clairvoyant_plan_usd"] == 2_500.0
    assert "less than 2,000 USD, even if it knew all jobs beforehand; a plan that did paid 2,500." in text
    assert re.search(r"\(clairvoyant plan\) +2,500 +\+25.0 % +2,000 +500", text)


def test_json_holds_what_every_pilot_paid_and_gave() -> None:
    told = json.loads(trials.render(full(), "json"))

    first, _, best = told["pilots"]
    assert list(told) == [
        "world", "days", "bound_usd", "bound_usd_by_kind", "clairvoyant_plan_usd", "pilots", "cannot_run", "notes",
        "summary",
    ]  # fmt: skip
    assert sum(told["bound_usd_by_kind"].values()) == told["bound_usd"] == 2_000
    assert list(first["usd_by_kind"]) == list(KINDS)
    assert sum(first["usd_by_kind"].values()) == pytest.approx(sum(first["usd_by_day"])) == pytest.approx(first["usd"])
    assert first["over_first_percent"][1] == 0
    low, mid, high = best["over_first_percent"]
    assert low <= mid <= high < 0
    assert mid == pytest.approx(100 * (best["usd"] / first["usd"] - 1))
    assert best["kg_co2"] == pytest.approx(0.3 * best["kwh"])
    assert told["summary"] == headline(full())


def test_text_has_waits_by_queue_and_all_that_was_had_for_the_money() -> None:
    told = trials.render(full(), "text")

    newsvendor = json.loads(trials.render(full(), "json"))["pilots"][2]
    for figure in ("usd", "provisioned_gpu_hours", "used_gpu_hours", "preemptions", "kwh", "kg_co2"):
        assert f"{newsvendor[figure]:,.0f}" in told
    assert re.search(r"\n serving +100( +[\d.]+ (?:min|h) / [\d.]+ (?:min|h)){3}\n", told)
    assert "kg CO2" in told
    assert told.splitlines()[-1] == headline(full())


def due() -> Trials:
    """Each job was due an hour after its duration: who waited longer had not ended."""
    found = trialled.trials(bound_usd=None)
    jobs = replace(found.file.table, deadline_s=found.file.table.duration_s + 3_600.0)
    tried = tuple(replace(trial, jobs=jobs) for trial in found.trials)
    return replace(found, file=trialled.as_file(jobs), trials=tried)


def test_who_ended_in_time_is_told_by_pilot_and_queue() -> None:
    found = due()
    hold, _, newsvendor = found.trials

    told = json.loads(trials.render(found, "json"))["pilots"]

    assert [pilot["queues"][0]["in_time_share"] for pilot in told] == [t.waits[0].in_time_share for t in found.trials]
    assert 0.2 < (hold.waits[0].in_time_share or 0) < 0.5
    assert (newsvendor.waits[0].in_time_share or 0) > 0.9
    share = f"{100 * (hold.waits[1].in_time_share or 0):.0f} %"
    assert re.search(
        rf"ended in time .*\n.*\n.*all .*\n.*{QUEUES[0]} +{hold.waits[1].due} +{share}", trials.render(found, "text")
    )
    assert f"<td>{hold.waits[1].due}</td><td>{share}</td>" in trials.render(found, "html")


def test_nothing_is_told_of_deadlines_where_there_are_none() -> None:
    assert json.loads(trials.render(full(), "json"))["pilots"][0]["queues"][0]["in_time_share"] is None
    assert "in time" not in trials.render(full(), "text")
    assert "deadline" not in trials.render(full(), "html")


def test_a_plain_simulation_tells_who_ended_in_time() -> None:
    found = trialled.simulation()
    jobs = replace(found.file.table, deadline_s=found.file.table.duration_s + 3_600.0)
    told = replace(found, file=trialled.as_file(jobs))
    everybody = told.tally.waits[0]

    assert f"{everybody.due:,}" in simulation.render(told, "text")
    assert f"<td>{everybody.due:,}</td><td>{100 * (everybody.in_time_share or 0):.0f} %</td>" in simulation.render(
        told, "html"
    )
    assert "in time" not in simulation.render(found, "text") + simulation.render(found, "html")


def test_the_page_tells_what_the_json_tells() -> None:
    page, told = drawn("full"), json.loads(trials.render(full(), "json"))

    for pilot in told["pilots"]:
        assert f"{pilot['usd']:,.0f} USD" in page
        assert f"+{pilot['over_bound_percent']:,.0f} % over the bound" in page
        for figure in ("provisioned_gpu_hours", "used_gpu_hours", "preemptions", "kwh", "kg_co2"):
            assert f"<td>{pilot[figure]:,.0f}</td>" in page
        for kind in KINDS:
            assert f"<td>{pilot['usd_by_kind'][kind]:,.0f}</td>" in page
        assert f"<td>{pilot['lost_gpu_hours']:,.1f}</td>" in page
        assert f"<td>{pilot['decisions_per_day']:.1f}</td><td>{pilot['reversals_per_day']:.1f}</td>" in page
    assert "<td>2,000</td>" in page
    assert '3,000 USD</span> <span class="small">+50.0 % over the bound' in page
    assert "1 job is left out" in page


def test_the_page_of_a_plain_simulation_tells_what_the_json_tells() -> None:
    page, told = drawn("plain"), json.loads(simulation.render(trialled.simulation(), "json"))

    assert told["summary"].split(";")[0].replace("GPU-hours", "GPU‑hours").replace(" %", "\u00a0%") in page
    for queue in told["queues"]:
        row = f"<td>{queue['jobs']:,}</td><td>{queue['never_started']:,}</td><td>{queue['gpu_hours']:,.0f}</td>"
        assert f'<th scope="row">{queue["queue"] or "all queues"}</th>{row}' in page


FAULTS = (
    Outage(at_s=24 * HOUR_S, lasts_s=6 * HOUR_S, pool="bought", share=0.5),
    Stuck(at_s=12 * HOUR_S, lasts_s=2 * HOUR_S),
    Demand(at_s=30 * HOUR_S, lasts_s=1.5 * HOUR_S, times=3.0, queue="serving"),
    Demand(at_s=48 * HOUR_S, times=0.5),
    Bias(at_s=36 * HOUR_S, lasts_s=HOUR_S, times=1.5),
    Blind(at_s=40 * HOUR_S, lasts_s=HOUR_S),
    Blind(at_s=900 * HOUR_S),  # long after it is over
)
WRONG = [
    "12 h to 14 h: stuck provisioning of all pools, what should have come came at the end",
    "24 h to 30 h: outage of bought, 50 % of nodes lost, and none came",
    "30 h to 31.5 h: burst, serving submitted 3 times as many jobs",
    "36 h to 37 h: forecast bias, forecasts said 1.5 times as much",
    "40 h to 41 h: metric loss, nothing was seen, so nothing was decided",
    "from 48 h on: demand shift, every queue submitted 0.5 times as many jobs",
]


def test_what_went_wrong_is_told_in_every_format_and_shaded_where_it_was() -> None:
    found = replace(full(), faults=FAULTS)

    text, page = trials.render(found, "text"), trials.render(found, "html")

    assert json.loads(trials.render(found, "json"))["notes"] == ["1 job is left out", *WRONG]
    assert [line[2:] for line in text.splitlines() if line.startswith("· ")] == ["1 job is left out", *WRONG]
    assert re.findall(r'<li value="\d">(.*?)</li>', page) == WRONG
    assert page.count('class="fault"') == 6 * 3 * 2 + 1  # on each pilot's two pictures, and in the legend
    assert f"Shaded 2: {WRONG[1]}." in page
    assert 'class="fault"' not in drawn("full")


def test_a_fault_is_shaded_from_when_it_began_until_it_was_over() -> None:
    found = replace(full(), faults=FAULTS[:1], began_s=1_699_999_800.0)
    course = course_of(found, found.trials[0])

    picture = course_chart(course, shared([course]), WIDE, "c")

    span = (WIDE.width - WIDE.left - WIDE.right) / 72
    left, wide = re.findall(r'<rect x="([\d.]+)" y="36" width="([\d.]+)" [^>]*class="fault"', picture)[0]
    assert (float(left), float(wide)) == pytest.approx((WIDE.left + 24 * span, 6 * span), abs=0.1)


def straggling(long_days: float) -> JobTable:
    """Two hundred jobs in three days, and one that runs on alone."""
    jobs = trialled.jobs_of()
    return replace(
        jobs, duration_s=np.where(np.arange(200) == 100, long_days * DAY_S, np.minimum(jobs.duration_s, 9e3))
    )


def test_a_straggler_does_not_make_use_meaningless() -> None:
    jobs = straggling(137.0)

    found = tally(jobs, Ran.once(jobs.submit_s, jobs.submit_s + jobs.duration_s, jobs.gpus), 64)
    told = json.loads(simulation.render(simulated(jobs), "json"))

    until_s = float(jobs.submit_s.max())
    assert until_s <= told["counted_s"] + jobs.submit_s.min() <= until_s + 9e3
    assert found.lasted_s > 137 * DAY_S
    assert found.utilisation == pytest.approx(found.used_gpu_hours / (64 * found.counted_s / HOUR_S))
    assert found.used_gpu_hours < jobs.gpu_seconds.sum() / HOUR_S - 100 * 24
    assert re.search(r"GPU-hours of the first 2\.\d d \(\d+ %\)", told["summary"])
    whole = f"{jobs.gpu_seconds.sum() / HOUR_S:,.0f}"
    text = simulation.render(simulated(jobs), "text")
    assert re.search(rf"\n all .* {whole} ", text)
    assert "GPU-hours by queue are of the whole run; use, and the GPU-hours told with it, are of the first 2." in text
    assert "until less than a tenth of the GPUs that were ever in use" in simulation.render(simulated(jobs), "html")


def simulated(jobs: JobTable) -> Simulation:
    ended_s = jobs.submit_s + jobs.duration_s
    return Simulation("64 GPUs", {"gpus": 64}, 64, trialled.as_file(jobs), jobs.submit_s, ended_s, jobs.gpus, {})


def test_use_is_of_the_same_time_for_all_pilots_and_that_time_is_said() -> None:
    jobs = straggling(9.0)
    tried = tuple(trialled.trial(name, jobs, days=10.0, late_s=late) for name, late in (("a", 600.0), ("b", 900.0)))
    found = Trials("w", trialled.as_file(jobs), tried, None)

    told = json.loads(trials.render(found, "json"))["pilots"]

    assert found.counted_days < 3
    assert [pilot["counted_days"] for pilot in told] == [found.counted_days] * 2
    for pilot, trial in zip(told, tried, strict=True):
        there = trial.flows.there[: found.counted_steps].sum()
        assert pilot["provisioned_gpu_hours"] == pytest.approx(there)
        assert pilot["utilisation"] == pytest.approx(trial.flows.busy[: found.counted_steps].sum() / there)
        turns = np.count_nonzero(trial.turns[: found.counted_steps]) + trial.quota_moves
        assert pilot["decisions_per_day"] == pytest.approx(turns / found.counted_days)
    assert "GPU-hours, use and turns are of the first 2." in trials.render(found, "text")
    assert "GPU-hours, use and turns are of the first 2." in trials.render(found, "html")


def test_pictures_end_where_only_stragglers_run_and_say_so() -> None:
    jobs = straggling(9.0)
    long = Trials("w", trialled.as_file(jobs), (trialled.trial("a", jobs, days=10.0),), None)

    page, plain = trials.render(long, "html"), simulation.render(simulated(straggling(137.0)), "html")

    assert re.search(r"Of 10.0 d the first 2\.\d d are drawn; then few jobs run on\.", page)
    assert "day 3" in page
    assert "day 5" not in page
    assert re.search(r"Of 13\d\.\d d the first 2\.\d d are drawn", plain)
    assert "are drawn" not in drawn("full")
    assert "are drawn" not in drawn("plain")


def test_the_beginning_of_a_stair_is_what_held_before_a_moment() -> None:
    begun = stair(1, 5, 3, 7).until(2.5)

    assert (begun.values.tolist(), begun.end_s) == ([1, 5, 3], 2.5)
    assert stair(1, 5).until(9.0).end_s == 2.0


def test_columns_that_would_be_empty_are_left_out() -> None:
    unbound, one = replace(full(), bound=None, plan=None), alone()

    assert "over bound" in trials.render(full(), "text")
    assert "over bound" not in trials.render(unbound, "text")
    assert "to hold" in trials.render(unbound, "text")
    assert not {"over bound", "to hold", "90 % interval"} & set(re.split("  +", trials.render(one, "text")))
    assert '<th scope="col">over the bound</th>' in drawn("full")
    assert '<th scope="col">over the bound</th>' not in trials.render(unbound, "html")


@pytest.mark.parametrize(("many", "words"), [(0.0, "0"), (0.25, "0.25"), (7.44, "7.4"), (12_340.4, "12,340")])
def test_few_gpu_hours_have_decimals(many: float, words: str) -> None:
    assert hours(many) == words


def test_one_is_not_told_as_many() -> None:
    jobs = trialled.jobs_of(("only",), many=1)
    plain = replace(simulated(jobs), world="1 GPU", gpus=1)
    steered = Trials("w", trialled.as_file(jobs), (trialled.trial("hold", jobs),), None)

    assert "1 job used " in simulation.render(plain, "text")
    assert "1 job of 1 queue on 1 GPU." in simulation.render(plain, "html")
    assert "1 job in 3.0 days" in trials.render(steered, "text")


def test_a_peak_that_leaves_its_frame_is_told_above_it() -> None:
    calm, wild = (Course("", (stair(8),), stair(peak), stair(peak), np.empty(0)) for peak in (10.0, 9_000.0))

    picture = course_chart(wild, shared([calm, wild, calm]), WIDE, "c")

    above = [float(y) for y in re.findall(r'y="([\d.]+)"[^>]*>▲ 9,000<', picture)]
    assert len(above) == 2
    assert above[0] < WIDE.top
    assert WIDE.floor < above[1] < WIDE.floor + WIDE.between


class Balanced(HTMLParser):
    """Fails at the first element that is not closed where it was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_one_well_formed_file_without_a_script(name: str) -> None:
    page = drawn(name)
    reader = Balanced()
    reader.feed(page)
    reader.close()

    assert reader.open == []
    assert "<script" not in page
    assert "\u202e" not in page
    assert not re.search(r'(?:href|src)="(?!data:|#)', page)
    assert not re.search(r"\bnan\b|\binf\b|None", page)
    assert len(page) < 1_000_000


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_has_its_own_name_and_its_words(name: str) -> None:
    page = drawn(name)

    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert page.count("<svg xmlns") == page.count('role="img"') == page.count("<desc")
    assert "<desc></desc>" not in page


def test_of_many_queues_and_pools_the_largest_are_told() -> None:
    page = drawn("crowded")

    assert page.count('<th scope="row">queue-') == 200
    assert "the 30 with the shortest waits are in" in page
    assert layer_names(crowded())[-1] == "4 smaller pools"
    assert "23 Nov" in page


def test_a_backlog_far_above_the_gpus_is_not_cut_off_on_the_page_of_a_plain_simulation() -> None:
    found = trialled.simulation(late_s=900_000.0)
    course = course_of_simulation(found)

    page = simulation.render(found, "html")

    assert course.demand.peak > 3 * 64 > course.top.peak
    assert "▲" not in page
    assert 'class="asked"' not in page
    assert "below, on a scale of its own, of jobs that wait." in page
    assert 'class="asked"' in drawn("plain")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_table_of_text_is_wider_than_its_terminal(width: int) -> None:
    for told in (trials.render(serving(), "text", width), simulation.render(trialled.simulation(), "text", width)):
        assert max(map(len, told.splitlines())) <= width


def test_a_table_that_is_too_wide_goes_on_below_under_the_names_of_its_rows() -> None:
    told = trials.render(full(), "text", 80)

    assert re.search(r"\n pilot .*kWh .*\n.*\n hold .*\n reactive .*\n newsvendor ", told)
    assert told.count("\n newsvendor ") > trials.render(full(), "text", 160).count("\n newsvendor ")


def test_sentences_are_not_folded_where_no_terminal_asks_for_it() -> None:
    assert trials.render(full(), "text").splitlines()[-1] == headline(full())


def stair(*values: float, step_s: float = 1.0) -> Stair:
    return Stair(step_s * np.arange(len(values), dtype=np.float64), np.array(values), step_s * len(values))


def test_no_peak_and_no_trough_is_lost_when_a_long_run_is_drawn() -> None:
    values = np.random.default_rng(0).uniform(10, 20, 100_000)
    values[[12_345, 77_777]] = 500.0, 0.0

    thin = stair(*values).thinned(300)

    assert (thin.peak, thin.low) == (500.0, 0.0)
    assert len(thin.values) <= 2 * 300 + 2
    assert (np.diff(thin.times_s) > 0).all()


def test_what_holds_while_nothing_happens_is_drawn_as_long_as_it_holds() -> None:
    long = Stair(np.array([0.0, 1.0, 2.0, 900.0]), np.array([5.0, 9.0, 7.0, 1.0]), 1_000.0)

    thin = long.thinned(10)

    assert dict(zip(thin.times_s.tolist(), thin.values.tolist(), strict=True))[2.0] == 7.0
    assert long.mean == pytest.approx((5 + 9 + 7 * 898 + 1 * 100) / 1_000)


def test_a_stair_is_drawn_as_steps_and_closed_below() -> None:
    x, y = Scale(0, 4, 0, 40), Scale(0, 10, 100, 0)

    assert 'd="M0 100H10V50H30V0H40"' in stair_line(stair(0, 5, 5, 10), x, y, "c")
    assert 'd="M0 100H10V50H30V0H40V100H0Z"' in stair_area(stair(0, 5, 5, 10), x, y, "c")


@pytest.mark.parametrize(
    ("begin_s", "end_s", "words"),
    [
        (0.0, 3 * 3_600.0, ["0 h", "0.5 h", "1 h", "1.5 h", "2 h", "2.5 h", "3 h"]),
        (600.0, 600.0 + 5 * 86_400.0, ["0 d", "1 d", "2 d", "3 d", "4 d", "5 d"]),
        (0.0, 30 * 86_400.0, ["0 d", "7 d", "14 d", "21 d", "28 d"]),
        (0.0, 20 * 365 * 86_400.0, ["0 d", "1217 d", "2434 d", "3651 d", "4868 d", "6085 d"]),
        (1_700_006_400.0, 1_700_006_400.0 + 2 * 86_400.0, ["15 Nov", "12:00", "16 Nov", "12:00", "17 Nov"]),
    ],
)
def test_times_are_named_as_they_are_known(begin_s: float, end_s: float, words: list[str]) -> None:
    assert [name for _, name in moments(begin_s, end_s, 6)] == words


def test_one_wild_backlog_does_not_flatten_what_others_did() -> None:
    calm, wild = (Course("", (stair(8),), stair(peak), stair(peak), np.empty(0)) for peak in (10.0, 9_000.0))

    axes = shared([calm, wild, calm])

    assert tamed([10.0, 9_000.0, 12.0]) == 12.0
    assert axes.gpus < 20
    assert axes.waiting < 20


def test_pools_are_stacked_from_what_is_owned_to_what_may_be_taken_back() -> None:
    found = full()

    course = course_of(found, found.trials[0])

    assert layer_names(found) == ["owned", "bought", "spot"]
    assert course.layers[0].low == course.layers[0].peak == 32
    assert course.top.mean == pytest.approx(found.trials[0].provisioned_gpu_hours / 72)
    assert course.waiting.mean == pytest.approx(found.trials[0].flows.waiting.sum() / 72)
    assert len(course.lost_s) == np.count_nonzero(found.trials[0].flows.lost)


def test_money_for_a_node_that_left_early_is_not_drawn_as_gpus() -> None:
    found = full()
    unused = np.zeros_like(found.trials[0].flows.there)
    unused[5, 1] = 1e6
    billed = replace(found.trials[0], flows=found.trials[0].flows._replace(unused=unused))

    assert course_of(found, billed).top.peak <= 32 + 160 + 80


def test_running_and_waiting_are_known_at_every_moment() -> None:
    found = trialled.simulation()

    course = course_of_simulation(found)

    at = 1.5 * 86_400
    jobs, nth = found.file.table, np.searchsorted(course.demand.times_s, at, side="right") - 1
    runs = (found.start_s <= at) & (found.start_s + jobs.duration_s > at)
    waits = (jobs.submit_s <= at) & (found.start_s > at)
    assert course.top.values[nth] == jobs.gpus[runs].sum()
    assert course.waiting.values[nth] == jobs.gpus[waits].sum()
    assert course.demand.values[nth] == jobs.gpus[runs | waits].sum()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        yield opened
        opened.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")
@pytest.mark.parametrize("width", [360, 1280])
def test_opens_offline_fits_and_is_silent(browser: Browser, tmp_path: Path, width: int) -> None:
    said: list[str] = []
    for name in PAGES:
        (tmp_path / f"{name}.html").write_text(drawn(name), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("console", lambda message: said.append(message.text))
        page.goto((tmp_path / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.title() != "owned"
        page.close()

    assert said == []


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")
def test_on_a_telephone_wide_tables_scroll_within_themselves_and_keep_their_first_column(
    browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "full.html").write_text(drawn("full"), encoding="utf-8")
    page = browser.new_page(viewport={"width": 380, "height": 800})
    page.goto((tmp_path / "full.html").as_uri())

    first, last = page.evaluate(
        """() => {
            const place = document.querySelector('[aria-label="Service"]');
            place.scrollLeft = place.scrollWidth;
            const cells = place.querySelectorAll('thead th'), within = place.getBoundingClientRect();
            return [cells[0], cells[cells.length - 1]].map(cell => {
                const own = cell.getBoundingClientRect();
                return own.left >= within.left - 1 && own.right <= within.right + 1;
            });
        }"""
    )

    assert (first, last) == (True, True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["full", "served"])
def test_text_in_pictures_is_legible_and_lies_within_them(
    browser: Browser, tmp_path: Path, name: str, width: int
) -> None:
    (tmp_path / f"{name}.html").write_text(drawn(name), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((tmp_path / f"{name}.html").as_uri())

    texts = page.eval_on_selector_all(
        "svg text",
        """nodes => nodes.filter(n => n.getBoundingClientRect().height > 0).map(n => {
            const own = n.getBoundingClientRect(), whole = n.ownerSVGElement.getBoundingClientRect();
            return [own.height, own.left >= whole.left - 1 && own.right <= whole.right + 1, n.textContent];
        })""",
    )

    assert len(texts) > 40
    assert [text for height, _, text in texts if height < 9] == []
    assert [text for _, within, text in texts if not within] == []
    page.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's package chromium")
def test_follows_the_readers_light_and_dark(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "full.html").write_text(drawn("full"), encoding="utf-8")
    colours = set()
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((tmp_path / "full.html").as_uri())
        colours.add(page.evaluate("getComputedStyle(document.querySelector('path.p0')).fill"))
        page.close()

    assert len(colours) == 2
