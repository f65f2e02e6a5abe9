"""What became of services, told: the same facts as text, JSON and a page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from envs.loads import Load
from envs.served import Served
from gyropilot.report import simulation, trials
from gyropilot.report.services import charts
from gyropilot.report.services.page import DRAWN, parts
from gyropilot.report.services.words import answer, sentence, share
from gyropilot.report.simulation import Simulation
from gyropilot.report.trials import Trials
from tests.report import trialled
from tests.report.hosting import API, CHAT, answered

HOSTILE = "<script>document.title='owned'</script>"


@cache
def good() -> Served:
    return answered()


@cache
def bad() -> Served:
    return answered(gone=0.9)


def alone(*services: Served) -> Simulation:
    return replace(trialled.simulation(), services=services)


def side_by_side() -> Trials:
    found = trialled.trials({"hold": 9_000.0, "reactive": 1_200.0})
    return replace(found, services=((bad(), bad()), (good(), good())))


def test_text_tells_each_service_and_whether_it_kept_its_target() -> None:
    told, wide = (simulation.render(alone(good(), bad()), "text", width) for width in (None, 160))

    assert re.search(r"service +asked +replicas wanted +answering +within target +p50 +p95 +p99 +most waiting", wide)
    assert "1.7 M requests" in told
    assert [line for line in told.splitlines() if line.startswith("chat ")][-2:] == [sentence(good()), sentence(bad())]
    assert sentence(good()) == "chat kept its target: 99.3 % of requests answered within 20 s, 95 % promised"
    assert sentence(bad()).startswith("chat missed its target: ")


def test_text_tells_a_service_pilot_by_pilot() -> None:
    told = trials.render(side_by_side(), "text")

    rows = [line.split()[0] for line in told.split("\n chat ")[1].splitlines()[2:4]]
    assert rows == ["hold", "reactive"]


def test_json_tells_the_same_in_numbers() -> None:
    (chat,) = json.loads(simulation.render(alone(good()), "json"))["services"]

    assert (chat["name"], chat["queue"], chat["unit"], chat["target_s"]) == ("chat", "serving", "requests", 20.0)
    assert chat["replicas_answering_mean"] == pytest.approx(chat["replicas_wanted_mean"])
    assert chat["share_within_target"] == pytest.approx(1 - np.exp(-5), abs=0.001)  # 4 s on average, 20 s at most
    assert chat["answer_p50_s"] < chat["answer_p95_s"] < chat["answer_p99_s"]


def test_json_tells_services_of_each_pilot_and_none_where_there_are_none() -> None:
    pilots = json.loads(trials.render(side_by_side(), "json"))["pilots"]
    without = json.loads(trials.render(trialled.trials(), "json"))["pilots"]

    assert [len(pilot["services"]) for pilot in pilots] == [2, 2]
    assert pilots[0]["services"][0]["unanswered"] >= 0
    assert {len(pilot["services"]) for pilot in without} == {0}


def test_what_is_never_answered_is_null() -> None:
    nobody = answered(per_s=5.0)
    nobody = replace(nobody, answers=replace(nobody.answers, behind_s=np.full(len(nobody.ran), np.inf)))

    (told,) = json.loads(simulation.render(alone(nobody), "json"))["services"]

    assert (told["answer_p50_s"], told["share_within_target"]) == (None, 0.0)
    assert "never" in simulation.render(alone(nobody), "text")


def test_the_page_draws_load_replicas_and_times_to_answer() -> None:
    page = simulation.render(alone(good(), answered(API, per_s=8_000.0)), "html")

    assert "How services answered" in page
    for words in ("requests a second", "tokens a second", "replicas", "95 % answered within", "99.3 % within target"):
        assert words in page


def test_a_page_without_services_says_nothing_of_them() -> None:
    assert "How services answered" not in simulation.render(alone(), "html")
    assert "How services answered" not in trials.render(trialled.trials(), "html")


def test_pilots_stand_side_by_side_service_by_service() -> None:
    page = trials.render(side_by_side(), "html")

    names = re.findall(r"<h3>(chat · [a-z]+)</h3>", page)
    assert names == ["chat · hold", "chat · reactive"] * 2


def test_how_high_times_went_is_written_where_they_leave_the_picture() -> None:
    slow = bad().answers.quantiles(CHAT.target_share).max()

    assert f"▲ {answer(float(slow))}" in charts.service_chart(bad(), charts.WIDE, "a")
    assert "▲" not in charts.service_chart(good(), charts.WIDE, "a")


def test_a_service_of_whom_nothing_is_asked_can_be_drawn() -> None:
    idle = answered(per_s=0.0)

    assert "kept its target: 100 % of requests" in charts.service_chart(idle, charts.NARROW, "a")


def test_names_are_shown_and_not_obeyed() -> None:
    page = simulation.render(alone(answered(replace(CHAT, name=HOSTILE), per_s=4.0)), "html")

    assert "<script" not in page


def test_a_page_of_many_services_draws_some_and_tells_all() -> None:
    found = parts([(f"pilot-{nth}", (good(),)) for nth in range(DRAWN + 3)])

    assert (len(found["served_charts"]), len(found["served"]), found["more_served"]) == (DRAWN, DRAWN + 3, 3)


def test_a_picture_of_many_weeks_stays_small() -> None:
    weeks = answered(days=60.0)

    assert len(charts.service_chart(weeks, charts.WIDE, "a")) < 80_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.24, "0.24 s"),
        (1.0, "1 s"),
        (12.4, "12 s"),
        (119.0, "119 s"),
        (204.0, "3.4 min"),
        (9e3, "2.5 h"),
        (np.inf, "never"),
    ],
)
def test_times_to_answer_are_told_as_people_tell_them(seconds: float, words: str) -> None:
    assert answer(seconds) == words


def test_all_is_said_only_of_all() -> None:
    assert (share(0.99999), share(1.0), share(0.5)) == ("99.9 %", "100 %", "50 %")


def test_a_load_of_two_steps_is_drawn_too() -> None:
    found = replace(good(), load=Load(43_200.0, np.array([1.0, 2.0])))

    assert charts.service_chart(found, charts.NARROW, "a").startswith("<svg")
