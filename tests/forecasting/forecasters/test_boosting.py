from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters.boosting import DEPTH, Boosting, Trees
from forecasting.forecasters.naive import Naive
from gyropilot.domain import Window
from tests.fakes import history

STEP = timedelta(minutes=5)
HOUR = Window.step(timedelta(hours=1), STEP)


def test_trees_as_arrays_say_what_the_library_says() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    features = rng.normal(size=(2_000, 4))
    features[rng.random(features.shape) < 0.1] = np.nan
    target = np.nan_to_num(features[:, 0]) * (features[:, 1] > 0) + rng.normal(0, 0.1, 2_000)
    model = HistGradientBoostingRegressor(loss="quantile", quantile=0.9, max_depth=DEPTH, max_iter=20)

    trees = Trees.of(model.fit(features, target))

    assert trees.predict(features) == pytest.approx(model.predict(features))


def test_learns_the_time_of_day_that_naive_cannot_know() -> None:
    days = np.tile(np.repeat([8.0, 64.0], 144), 14)[:-6]  # the next change is 6 steps away
    seen = history({f"queue-{i}": days.tolist() for i in range(4)})

    naive, boosted = (
        abs(m.fit(seen).predict(seen, [HOUR], [0.5])[0, 0, 0] - 8.0) for m in (Naive(), Boosting(10_000, trees=200))
    )

    assert naive == pytest.approx(56.0, abs=1)
    assert boosted < 10.0


def test_stays_naive_with_too_little_to_learn_from() -> None:
    seen = history({"research": [8.0, 16.0] * 50})

    assert Boosting().fit(seen).boosted == ()
