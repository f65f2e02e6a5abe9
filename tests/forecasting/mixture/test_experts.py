"""Who is listened to at first, and how fast that changes."""

from datetime import timedelta

import numpy as np
import pytest

from forecasting.forecasters.outlook import Outlook
from forecasting.forecasters.smoothing import Smoothing
from forecasting.mixture import experts
from forecasting.mixture.ensemble import Ensemble
from forecasting.mixture.experts import EXPERTS, line_days, pace, prior, youth
from forecasting.mixture.lessons import learnt_about
from gyropilot.domain import DemandHistory, Floats
from tests.fakes import history

HOUR = timedelta(hours=1)


def test_the_forest_is_listened_to_the_more_the_more_it_could_learn_from() -> None:
    few, some, many = (share_of("forest", queues(count)) for count in (1, 8, 16))

    assert few < some < many
    assert share_of("jobs", queues(1)) > share_of("jobs", queues(16))


def test_shares_move_the_slower_the_more_was_seen_but_never_stand_still() -> None:
    rates = [pace(queues(count)).rate for count in (1, 8, 16, 1_000)]

    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 5
    assert rates[-1] == 0.5


def test_days_of_totals_and_days_that_were_not_seen_do_not_count() -> None:
    seen = queues(2)
    gaps = history({"a": np.where(np.arange(24 * 14) < 24 * 7, np.nan, 8.0).tolist()}, HOUR)

    assert line_days(seen.with_totals()) == line_days(seen) == pytest.approx(28, abs=0.1)
    assert line_days(gaps) == pytest.approx(7, abs=0.1)


def test_with_the_extra_a_foundation_model_is_one_more_expert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experts, "find_spec", lambda name: name)
    monkeypatch.setattr(experts, "import_module", lambda name: name)

    assert [expert.name for expert in Ensemble().experts] == [*(kind.name for kind in EXPERTS), "foundation"]


def test_an_extra_that_is_there_and_cannot_be_loaded_is_left_out_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> None:
        raise ImportError(f"{name} wants libtorch.so")

    experts._say.cache_clear()
    monkeypatch.setattr(experts, "find_spec", lambda name: name)
    monkeypatch.setattr(experts, "import_module", broken)

    for _ in range(2):
        assert [expert.name for expert in Ensemble().experts] == [kind.name for kind in EXPERTS]

    assert caplog.messages == [
        "forecasts go on without the foundation model, which cannot be loaded: fracast wants libtorch.so"
    ]


def test_nobody_waits_for_the_foundation_model_where_it_says_nothing() -> None:
    names, windows = ("forest", Outlook.name), learnt_about(timedelta(minutes=5))

    fine, hourly = (prior(names, windows, queues(8, step))[1, :, 0] for step in (timedelta(minutes=5), HOUR))

    assert [bool(share) for share in fine] == [w.start >= timedelta(hours=2) for w in windows]
    assert hourly.all()


def test_smoothed_hours_have_no_say_about_minutes() -> None:
    windows = learnt_about(timedelta(minutes=5))

    shares = prior((Smoothing.name, "jobs"), windows, queues(8))[0, :, 0]

    assert [bool(share) for share in shares] == [w.end - w.start >= HOUR for w in windows]


def test_a_forest_of_few_lines_has_little_to_say() -> None:
    assert share_of("forest", queues(3)) < share_of("forest", queues(12)) / 4


def test_of_few_services_smoothed_hours_are_known_best() -> None:
    windows, names = learnt_about(HOUR), [kind.name for kind in EXPERTS]
    few, more, fine = (
        prior(names, windows, seen)[names.index("smoothing"), 0, 0]
        for seen in (queues(4), queues(5), queues(4, timedelta(minutes=30)))
    )

    assert few > more == fine


def test_first_days_of_few_services_hardly_move_shares() -> None:
    names, young, old = (Smoothing.name, "jobs"), queues(2, days=6), queues(2, days=28)

    first, later = (prior(names, learnt_about(HOUR), seen)[0, 0, 0] for seen in (young, old))

    assert (first, pace(young).rate) == (100.0, 2.0)
    assert 6 <= later < 7
    assert pace(old).rate > 5


def test_days_of_many_queues_or_of_finer_steps_are_learnt_from_as_ever() -> None:
    many, fine = queues(5, days=6), queues(2, timedelta(minutes=30), days=6)

    assert youth(many) == youth(fine) == 0
    assert pace(many).rate > 5 < pace(fine).rate


def share_of(name: str, seen: DemandHistory) -> float:
    """How much of what is said an hour ahead is this expert's at first."""
    names = [kind.name for kind in EXPERTS]
    shares: Floats = prior(names, learnt_about(HOUR), seen)[:, 0, 0]
    return float(shares[names.index(name)] / shares.sum())


def queues(count: int, step: timedelta = HOUR, days: int = 14) -> DemandHistory:
    """Days of some queues."""
    return history({f"queue-{i}": round(days * timedelta(days=1) / step) * [8.0] for i in range(count)}, step)
