"""A file of tuned settings: what plan and run can use, under what it took and what it is worth."""

from datetime import timedelta

import numpy as np
import pytest
import yaml

from envs.evolution import Found
from envs.terms import PoolTerms, Prices
from envs.tuning import Change, Effort, Tuned
from envs.windows import Ground, parted
from envs.workloads import DAY_S, TrainingProfile, generate
from envs.world import World
from gyropilot.report.tuning import to_yaml, verdict
from gyropilot.settings import PilotSettings

FOUND = Found({"scale_down_after": timedelta(minutes=45)}, 0.9, 30)
NAN = float("nan")


def sample(change: Change, found: Found = FOUND) -> Tuned:
    jobs = generate((TrainingProfile("a", 5.0),), 12.0, np.random.default_rng(0))
    ground = Ground("jobs.csv", World((PoolTerms("x", 1, 2),)), jobs, Prices(), 12 * DAY_S)
    parts = parted(ground, 2, np.random.default_rng(0))
    return Tuned("reactive", found, parts.training, parts.held_out, change, Effort(30, 2, seed=4))


def settings_in(text: str) -> PilotSettings:
    return PilotSettings.model_validate(yaml.safe_load(text)["pilot"])


def test_what_was_found_comes_back_as_settings_under_how_it_was_found() -> None:
    text = to_yaml(sample(Change(-4.0, -3.0, -1.0)), "gyropilot tune --pilot reactive")

    assert settings_in(text) == PilotSettings(name="reactive", scale_down_after=timedelta(minutes=45))
    comments = " ".join(line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("#"))
    assert "gyropilot tune --pilot reactive" in comments
    assert "CMA-ES, 30 evaluations, seed 4, forecaster naive" in comments
    assert "2 windows to tune by, 1 held out" in comments
    assert "pay 3.0 % less than the default ones on 1 held-out window (90 %: 1.0 to 4.0 % less)" in comments


def test_where_tuning_did_not_help_the_file_holds_the_default_settings_and_says_so() -> None:
    text = to_yaml(sample(Change(-1.0, 2.0, 4.0)), "x")

    assert settings_in(text) == PilotSettings(name="reactive")
    assert "# Tuning did not help: what was found pays 10.0 % less where they were found, but 2.0 % more on 1" in text
    assert '# These are the default settings. What was found: {"scale_down_after": "45m"}' in text


def test_where_nothing_better_was_found_that_is_said() -> None:
    start = Found({"scale_down_after": timedelta(minutes=10)}, 1.0, 30)

    text = to_yaml(sample(Change(0.0, 0.0, 0.0), start), "x")

    assert "# Nothing was found that is better than the default settings of reactive." in text
    assert "What was found" not in text
    assert settings_in(text) == PilotSettings(name="reactive")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(-4.0, -3.0, 1.0), "pay 3.0 % less than the default ones on 1 held-out window (90 %: 4.0 % less to 1.0 % more), which is not sure"),  # noqa: E501
        (Change(NAN, -3.0, NAN), "pay 3.0 % less than the default ones on 1 held-out window, which is not sure"),
        (Change(NAN, NAN, NAN), "Tuning did not help"),
    ],
)  # fmt: skip
def test_the_verdict_says_how_sure_it_is(change: Change, words: str) -> None:
    assert words in verdict(sample(change))


def test_a_search_that_was_interrupted_says_how_far_it_came() -> None:
    text = to_yaml(sample(Change(NAN, -3.0, NAN), Found(FOUND.settings, 0.9, 7, interrupted=True)), "x")

    assert "7 evaluations of 30, then interrupted" in text
