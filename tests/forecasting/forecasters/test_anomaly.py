import numpy as np
import pytest

from forecasting.check import gangs
from forecasting.demand.seen import some_lines
from forecasting.demand.slots import Slots
from forecasting.forecasters.anomaly import LASTS_H, USUAL, Anomaly, lasting_s
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.profile import Profile
from gyropilot.domain import DemandHistory, Window
from tests.fakes import history
from tests.forecasting.forecasters.test_profile import DECILES, HOUR, MIDDLE, days, hour

SOON, TOMORROW = Window(0 * HOUR, HOUR), Window(23 * HOUR, 24 * HOUR)
USUAL_S = 3_600.0 * LASTS_H[USUAL]


def test_what_is_unusual_lasts_for_a_while() -> None:
    seen = history({"chat": days(5) + [hour(h) + 40.0 for h in range(9)]}, HOUR)

    soon, tomorrow = Anomaly().fit(seen).predict(seen, [SOON, TOMORROW], MIDDLE)[0, :, 0]
    usual = Profile().fit(seen).predict(seen, [SOON], MIDDLE)[0, 0, 0]

    assert soon == pytest.approx(usual + 40 * np.exp(-0.5 / 3), abs=3.0)
    assert hour(8) <= tomorrow < hour(8) + 10.0


def test_a_burst_moves_a_bursty_line_by_its_square_root() -> None:
    rng = np.random.default_rng(1)
    bursts = np.where(rng.random(7 * 24) < 0.08, 900.0, 4.0)
    bursts[-1] = 900.0
    seen = history({"api": bursts.tolist()}, HOUR)

    told = Anomaly().fit(seen).predict(seen, [Window(5 * HOUR, 6 * HOUR)], MIDDLE)[0, 0, 0]

    linear = 4 + 896 * np.exp(-5.5 / 3)  # 147; in roots (2 + 28 * 0.16)², and some for the last day and for doubt
    assert 35 < told < 0.7 * linear


def test_learns_from_each_line_how_long_its_anomalies_last() -> None:
    seen = history({"requests": _drifting(0.3), "gangs": _drifting(0.995), "flat": [5.0] * 720}, HOUR)

    requests, gangs_, flat = lasting_s(Slots.of(seen)) / 3_600

    assert requests < 3
    assert gangs_ > 24
    assert flat == pytest.approx(LASTS_H[USUAL])


def test_a_week_is_needed_to_tell_how_long_anomalies_last() -> None:
    gone = history({"gangs": _drifting(0.995)[: 7 * 24]}, HOUR)

    assert lasting_s(Slots.of(gone)).tolist() == [USUAL_S]


def test_is_nearly_naive_where_demand_only_drifts() -> None:
    seen = history({"gangs": _drifting(0.999)}, HOUR)
    window = [Window(2 * HOUR, 3 * HOUR)]

    told, naive, usual = (kind().fit(seen).predict(seen, window, MIDDLE)[0, 0, 0] for kind in (Anomaly, Naive, Profile))

    assert abs(told - naive) < 0.4 * abs(usual - naive)


def test_lines_that_were_last_seen_at_other_times_do_not_disturb_each_other() -> None:
    seen = gangs()
    blind = seen.running.copy()
    blind[1, -8:], blind[2, -300:] = np.nan, np.nan
    late = DemandHistory(seen.lines, seen.times, blind, seen.pending)
    windows = [Window(2 * HOUR, 3 * HOUR)]

    together = Anomaly().fit(late).predict(late, windows, DECILES)

    for row in range(len(seen.lines)):
        alone = some_lines(late, [row])
        np.testing.assert_allclose(together[[row]], Anomaly().fit(alone).predict(alone, windows, DECILES))


def test_an_old_reading_says_less() -> None:
    unusual = [hour(h) + 40.0 for h in range(9)]
    seen = history({"fresh": days(5) + unusual, "stale": days(5) + unusual[:3] + [np.nan] * 6}, HOUR)

    fresh, stale = Anomaly().fit(seen).predict(seen, [SOON], MIDDLE)[:, 0, 0]

    assert stale < fresh - 15


def _drifting(keeps: float) -> list[float]:
    """Thirty days of hours whose shocks last longer the more is kept of them from hour to hour."""
    rng = np.random.default_rng(2)
    level = np.zeros(720)
    for step, shock in enumerate(rng.normal(0, 10, 719)):
        level[step + 1] = keeps * level[step] + shock
    return list(level - level.min() + 300)
