from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters.naive import Naive
from forecasting.mixture.drift import SHIFTED
from forecasting.mixture.ensemble import Ensemble
from forecasting.mixture.lessons import Lessons
from forecasting.mixture.trust import TOLD_SURPRISES, shifts, trust, voices
from gyropilot.domain import ALL_QUEUES, Line, Trust
from tests.fakes import GPU, NOW

RESEARCH, VISION, TOTAL = Line("research", GPU), Line("vision", GPU), Line(ALL_QUEUES, GPU)
LINES = (RESEARCH, VISION, TOTAL)


def lessons(lines: tuple[Line, ...] = LINES) -> Lessons:
    return Lessons.start(["forest", "naive"], [0.75, 0.25], timedelta(minutes=5)).for_lines(lines)


def shifted(count: int) -> Ensemble:
    lines = tuple(Line(f"queue-{i:02}", GPU) for i in range(count))
    calm = lessons(lines)
    since_s = np.full(count, NOW.timestamp())
    drift = replace(calm.drift, level=np.full(count, SHIFTED), since_s=since_s)
    return Ensemble(lessons=replace(calm, drift=drift))


def test_shares_of_a_bucket_sum_to_one_and_the_greatest_comes_first() -> None:
    told = voices(lessons(), LINES)

    assert [(v.bucket, v.expert) for v in told[:2]] == [("next hour", "forest"), ("next hour", "naive")]
    assert sum(v.share for v in told if v.bucket == "1-6h") == pytest.approx(1.0)


def test_nothing_is_claimed_of_a_forecaster_that_does_not_learn_from_its_forecasts() -> None:
    assert trust(Naive(), LINES, NOW) == Trust()


def test_nothing_is_claimed_before_anything_was_learnt() -> None:
    assert trust(Ensemble(), LINES, NOW) == Trust()


def test_lines_that_are_new_are_forecast_by_those_that_all_listen_to() -> None:
    told = trust(Ensemble(lessons=lessons((RESEARCH,))), LINES, NOW)

    assert told.voices[0].share == pytest.approx(0.75)
    assert told.realised == ()


def test_a_thousand_surprises_are_not_all_said() -> None:
    model = shifted(TOLD_SURPRISES + 5)
    assert model.lessons is not None

    told = trust(model, model.lessons.lines, NOW)

    assert told.shifted == shifts(model) == TOLD_SURPRISES + 5
    assert len(told.surprises) == TOLD_SURPRISES + 1
    assert told.surprises[-1] == "and 5 more like these"
