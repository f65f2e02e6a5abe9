from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np

from forecasting.forecast import known
from forecasting.forecasters.auto import Auto
from forecasting.forecasters.naive import Naive
from forecasting.protocol import Forecaster, State
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Line, Window
from tests.fakes import GPU, history

SHORT, HALF_DAY = (Window.step(timedelta(minutes=m), timedelta(minutes=5)) for m in (5, 720))
WEEK_OF_DAYS_AND_NIGHTS = np.tile(np.repeat([8.0, 64.0], 144), 8).tolist()  # 12 hours each, 8 days


@dataclass
class Clockwork:
    """Knows that demand is 64 GPUs until noon and 8 after; `off_by` GPUs wrong."""

    off_by: float = 0.0
    fits: int = 0

    name = "clockwork"

    def fit(self, history: DemandHistory) -> Self:
        return type(self)(self.off_by, self.fits + 1)

    def state(self) -> State:
        return {"off_by": self.off_by, "fits": self.fits}

    @classmethod
    def restored(cls, state: State) -> Self:
        return cls(**state)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        time_of_day_s = (history.times[-1] + np.array([w.end.total_seconds() for w in windows])) % 86_400
        busy = (time_of_day_s > 0) & (time_of_day_s <= 43_200)
        known = np.where(busy, 64.0, 8.0)[:, None] + self.off_by
        return np.broadcast_to(known, (len(history.lines), len(windows), len(quantiles)))


def _auto(**challengers: Forecaster) -> Auto:
    models: Mapping[str, Forecaster] = {"naive": Naive(), **challengers}
    return Auto(models)


def test_takes_the_challenger_where_it_is_better() -> None:
    fitted = _auto(clockwork=Clockwork()).fit(history({"research": WEEK_OF_DAYS_AND_NIGHTS}))

    assert fitted.chosen["queues", "beyond"] == "clockwork"
    assert fitted.predict(history({"research": WEEK_OF_DAYS_AND_NIGHTS}), [HALF_DAY], [0.5])[0, 0, 0] == 8.0


def test_keeps_the_incumbent_where_nothing_is_clearly_better() -> None:
    steady = history({"research": [40.0] * 2_304})

    fitted = _auto(clockwork=Clockwork()).fit(steady)

    assert set(fitted.chosen.values()) == {"naive"}
    assert fitted.name == "auto: naive"


def test_is_naive_before_it_has_learnt() -> None:
    seen = history({"research": WEEK_OF_DAYS_AND_NIGHTS})
    auto = _auto(clockwork=Clockwork())

    assert auto.name == "auto: naive"
    assert np.array_equal(auto.predict(seen, [SHORT, HALF_DAY], [0.5]), Naive().predict(seen, [SHORT, HALF_DAY], [0.5]))


def test_does_not_judge_by_a_few_days() -> None:
    three_days = history({"research": WEEK_OF_DAYS_AND_NIGHTS[: 3 * 288]})

    assert _auto(clockwork=Clockwork()).fit(three_days).chosen == {}


def test_judges_totals_apart_from_queues() -> None:
    seen = known(history({"research": WEEK_OF_DAYS_AND_NIGHTS, "quiet": [0.0] * 2304}))
    fitted = _auto(clockwork=Clockwork()).fit(seen)

    assert isinstance(fitted, Auto)
    assert {group for group, _ in fitted.chosen} == {"queues", "quiet queues", "totals"}


def test_says_what_it_chose() -> None:
    chosen = {
        ("queues", "to 30 min"): "naive",
        ("queues", "to 3 h"): "clockwork",
        ("totals", "to 3 h"): "naive",
        ("queues", "beyond"): "clockwork",
        ("totals", "beyond"): "clockwork",
    }

    auto = Auto({"naive": Naive(), "clockwork": Clockwork()}, chosen)

    assert auto.name == "auto: naive to 30 min, clockwork + naive to 3 h, clockwork beyond"


def test_each_line_and_horizon_comes_from_the_model_that_was_chosen_for_it() -> None:
    seen = history({"research": [40.0] * 288, "quiet": [0.0] * 288})
    chosen = {("queues", "beyond"): "clockwork"}

    table = Auto({"naive": Naive(), "clockwork": Clockwork()}, chosen).predict(seen, [SHORT, HALF_DAY], [0.5])[..., 0]

    assert table.tolist() == [[40.0, 8.0], [0.0, 0.0]]


def test_fits_what_was_chosen_on_the_whole_history() -> None:
    seen = history({"research": WEEK_OF_DAYS_AND_NIGHTS})

    fitted = _auto(clockwork=Clockwork()).fit(seen)

    naive, clockwork = fitted.models["naive"], fitted.models["clockwork"]
    assert isinstance(naive, Naive)
    assert naive.bands.seen_s == 8 * 86_400
    assert isinstance(clockwork, Clockwork)
    assert clockwork.fits == 1


def test_knows_totals_by_their_name() -> None:
    seen = history({"research": [40.0] * 288}).with_totals()
    chosen = {("totals", "beyond"): "clockwork"}

    table = Auto({"naive": Naive(), "clockwork": Clockwork()}, chosen).predict(seen, [HALF_DAY], [0.5])[:, 0, 0]

    assert seen.lines[1] == Line(ALL_QUEUES, GPU)
    assert table.tolist() == [40.0, 8.0]
