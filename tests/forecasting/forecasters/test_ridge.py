from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters.naive import Naive
from forecasting.forecasters.ridge import Ridge
from gyropilot.domain import DemandHistory, Window
from tests.fakes import history

STEP = timedelta(minutes=5)
TWO_HOURS = Window.step(timedelta(hours=2), STEP)


def test_learns_that_a_burst_goes_as_it_came() -> None:
    seen = _bursts()

    ridge, naive = (m.fit(seen).predict(seen, [TWO_HOURS], [0.5])[0, 0, 0] for m in (Ridge(), Naive()))

    assert naive == pytest.approx(40, abs=1)  # the newest reading is of a burst
    assert ridge < 28


def test_band_is_that_of_its_own_errors() -> None:
    seen = _bursts()

    ridge, naive = (np.diff(m.fit(seen).predict(seen, [TWO_HOURS], [0.1, 0.9])[0, 0])[0] for m in (Ridge(), Naive()))

    assert ridge < 0.8 * naive


def test_stays_naive_with_too_little_to_learn_from() -> None:
    seen = history({"research": [8.0, 16.0] * 50})

    fitted = Ridge().fit(seen)

    assert not fitted.weights.any()
    naive = Naive().fit(seen).predict(seen, [TWO_HOURS], [0.1, 0.5, 0.9])
    assert np.array_equal(fitted.predict(seen, [TWO_HOURS], [0.1, 0.5, 0.9]), naive)


def _bursts() -> DemandHistory:
    """Four queues at 8 GPUs, with 32 more for an hour about once in eight; all end within a burst."""
    rng = np.random.default_rng(0)
    demand = np.full((4, 10 * 288), 8.0)
    for row in demand:
        for start in np.flatnonzero(rng.random(row.size) < 1 / 96):
            row[start : start + 12] = 40.0
        row[-6:] = 40.0
        row[-18:-6] = 8.0
    return history({f"queue-{i}": row.tolist() for i, row in enumerate(demand)})
