"""What the benchmarks of forecasts say of figures that are worked out by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from benchmarks.forecast import Trial, told
from benchmarks.forecast_scale import EVERY, HOUR, _back
from forecasting.backtest.result import Result
from gyropilot.domain import Floats
from tests.forecasting.backtest.samples import Says, backtested, hourly, stranger


def half_as_far_off_as_the_peer() -> Result:
    """Demand stays at 10; ours says 11 at every quantile, the peer 12."""
    history = hourly({"a": [10.0] * 24 * 16})
    return backtested(history, [Says("gyropilot", lambda newest: newest + 1)], [stranger("theirs", lambda n: n + 2)])


def spoken(line: str) -> str:
    """A line without its columns."""
    return " ".join(line.split())


def verdicts(trial: Trial) -> list[str]:
    return [line.strip() for line in told(trial, half_as_far_off_as_the_peer(), "gyropilot")][-4:]


def test_what_was_promised_stands_beside_what_came_reached_or_missed_by_how_much() -> None:
    trial = Trial("made up", "", {("1h", "wql"): -20.0, ("1h", "p95_pinball"): -60.0})

    wql, p95 = verdicts(trial)[-2:]

    assert spoken(wql) == "1h WQL -50.0 [ -50.0, -50.0] at most -20: reached theirs"
    assert spoken(p95) == "1h P95 -50.0 [ -50.0, -50.0] at most -60: missed by 10.0 theirs"


def test_no_worse_than_one_percent_is_reached_without_being_better() -> None:
    history = hourly({"a": [10.0] * 24 * 16})
    alike = backtested(history, [Says("gyropilot", lambda n: n + 1)], [stranger("theirs", lambda n: n + 1)])

    lines = list(told(Trial("made up", "", {("1h", "wql"): 1.0}), alike, "gyropilot"))

    assert spoken(lines[-2]) == "1h WQL +0.0 [ +0.0, +0.0] at most +1: reached theirs"


def test_bands_that_hold_too_little_miss_what_was_wanted() -> None:
    inner, outer = verdicts(Trial("made up", "", {}, coverages=True))[-2:]

    assert spoken(inner) == "1h coverage80 0.0 78 to 84: missed"
    assert spoken(outer) == "1h coverage95 0.0 94 to 97: missed"


def after_a_shift(*ratios: float) -> Floats:
    """A row each half hour: hours of feedback, the loss with the shift, and without it."""
    hours = np.arange(len(ratios)) * (EVERY / HOUR)
    return np.column_stack([hours, np.array(ratios), np.ones(len(ratios))])


def test_back_is_the_beginning_of_the_first_hour_and_a_half_that_is_good_to_the_end() -> None:
    assert _back(after_a_shift(30.0, 1.0, 1.0, 1.0, 1.0, 1.0)) == "0.5 h"
    assert _back(after_a_shift(30.0, 2.0, 1.0, 1.0, 1.0, 1.0)) == "1.0 h"


def test_a_lucky_moment_before_a_bad_one_does_not_count_as_back() -> None:
    assert _back(after_a_shift(30.0, 1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0)) == "2.5 h"


def test_who_is_not_back_by_the_end_is_said_not_to_be() -> None:
    assert _back(after_a_shift(30.0, 1.0, 1.0, 1.0, 2.0)) == "more than 2.0 h"


def test_without_the_foundation_model_it_is_not_found_even_where_it_is_installed() -> None:
    code = (
        "from benchmarks.forecast_scale import beside_whom, hide; from forecasting.mixture.experts import EXTRA; "
        "hide(EXTRA); print(beside_whom())"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "without the foundation model\n"
