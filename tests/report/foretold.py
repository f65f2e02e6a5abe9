"""What is expected of two teams, by a forecaster that listens to two experts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from forecasting.forecast import forecast, known, outlook
from forecasting.forecasters.naive import Naive
from forecasting.foretold import Foretold
from forecasting.mixture.lessons import Lessons
from gyropilot.domain import Realised, Trust, Voice
from gyropilot.settings import ForecastSettings
from tests.fakes import NOW, history

SETTINGS = ForecastSettings(model="naive")
TRUST = Trust(
    origin="fitted at 2026-03-02 03:00 UTC on 2016 steps of 2 lines",
    fitted_at=NOW - timedelta(hours=9),
    voices=(
        Voice("next hour", "forest", 0.75),
        Voice("next hour", "naive", 0.25),
        Voice("1-6h", "forest", 0.99),
        Voice("1-6h", "naive", 0.01),
    ),
    realised=(
        Realised("queues", "next hour", 0.8, 0.81, 1240.0),
        Realised("queues", "next hour", 0.95, 0.94, 1240.0),
        Realised("totals", "next hour", 0.8, 0.77, 310.0),
    ),
    shifted=1,
    surprises=("demand of queue vision has shifted since 09:30 UTC: bands widened, weights relearnt",),
    known=("spring festival (holiday) from Tue 3 Mar 00:00 to Thu 5 Mar 00:00 UTC",),
)


def foretold(names: tuple[str, str] = ("research", "vision")) -> Foretold:
    """A week of two queues; the second is not seen at last."""
    days = [8.0] * 144 + [16.0] * 144
    late = np.array(days * 7)
    late[-2:] = np.nan
    seen = history({names[0]: days * 7, names[1]: list(late)})
    whole, model = known(seen), Naive().fit(known(seen))
    lessons = Lessons.start(["forest", "naive"], [0.75, 0.25], seen.step)
    return Foretold(
        whole,
        replace(forecast(model, whole, SETTINGS, NOW), trust=TRUST),
        replace(outlook(model, whole, SETTINGS, NOW), trust=TRUST),
        lessons,
        ("demand is seen only since 2026-02-23 12:05 UTC, 28d were asked for",),
    )
