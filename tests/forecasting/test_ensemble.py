from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

import forecasting.ensemble as module
from forecasting.ensemble import Ensemble
from forecasting.lessons import LEVELS
from forecasting.naive import Naive
from forecasting.rolling import until
from gyropilot.domain import ALL_QUEUES, DemandHistory, Line
from tests.fakes import GPU, history

STEP = timedelta(minutes=5)
DAY = 288
TOTAL = Line(ALL_QUEUES, GPU)


def naives(monkeypatch: pytest.MonkeyPatch) -> Ensemble:
    """Gyropilot's own forecaster with the quickest of experts, who is all that these tests need."""
    monkeypatch.setattr(module, "EXPERTS", {Naive: 1.0})
    return Ensemble()


def walks(days: int, queues: int = 2, step: timedelta = STEP) -> DemandHistory:
    """Queues that wander, with their total."""
    rng = np.random.default_rng(0)
    steps = 8.0 * rng.integers(-1, 2, size=(queues, round(timedelta(days=days) / step)))
    demand = 80.0 + np.abs(np.cumsum(steps, axis=1))
    return history({f"queue-{i}": row for i, row in enumerate(demand)}, step).with_totals()


def moments(model: Ensemble) -> Sequence[int]:
    return [said.at_s for said in model.kept]


def test_what_was_said_of_some_queues_together_is_not_held_against_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WARM_UP_LINES", 3)
    seen = walks(3, queues=6)

    model = naives(monkeypatch).fit(seen)

    assert all(TOTAL not in said.lines and len(said.lines) == 3 for said in model.kept)
    assert model.kept[-1].experts.shape[1:] == (3, len(model.kept[-1].which), len(LEVELS))


def test_what_was_said_of_all_queues_together_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = naives(monkeypatch).fit(walks(3))

    assert all(TOTAL in said.lines for said in model.kept)


@pytest.mark.parametrize("minutes", [15, 120])
def test_what_was_said_in_other_steps_is_forgotten(minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = naives(monkeypatch).fit(walks(3))
    coarse = walks(3, step=timedelta(minutes=minutes))

    model = model.update(coarse)

    assert moments(model) == [coarse.times[-1]]


def test_a_clock_that_was_ahead_for_a_while_is_no_reason_to_be_silent_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = walks(3)
    ahead = DemandHistory(seen.lines, seen.times + 9 * 86_400, seen.running, seen.pending)
    model = naives(monkeypatch).fit(until(seen, 2 * DAY)).update(ahead)

    model = model.update(seen)

    assert moments(model) == [seen.times[-1]]


def test_what_was_missed_is_said_from_what_was_known_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    before = naives(monkeypatch).fit(until(seen, 2 * DAY)).update(until(seen, 2 * DAY))

    late = before.update(until(seen, 2 * DAY + 24))

    prompt = before
    for column in range(2 * DAY + 6, 2 * DAY + 25, 6):
        prompt = prompt.update(until(seen, column))
    assert moments(late) == moments(prompt)
    assert np.array_equal(late.kept[-1].told, prompt.kept[-1].told)


def test_nothing_new_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = walks(3)
    model = naives(monkeypatch).fit(seen).update(seen)

    assert model.update(seen) is model
    assert replace(model).update(DemandHistory.empty()).kept == model.kept
