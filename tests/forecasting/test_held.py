"""How often the bands of cohorts held: scored once it is known what came, and forgotten with the cohort."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np

from forecasting.forecasters.naive import Naive
from forecasting.held import Held
from forecasting.mixture.copula import Copula
from forecasting.mixture.ensemble import Ensemble
from forecasting.mixture.lessons import LEVELS, Lessons
from forecasting.mixture.said import Said
from forecasting.rolling import until
from forecasting.store import load, save
from gyropilot.domain import DemandHistory, Realised
from tests.fakes import history

FIVE_MINUTES, HOUR = timedelta(minutes=5), timedelta(hours=1)
DEMANDED = {"language": 4.0, "research": 8.0, "speech": 2.0, "vision": 1.0}
WEEK = history({name: [gpus] * 2016 for name, gpus in DEMANDED.items()})
ASKED = 1500  # the column at which anybody first asks about cohorts
TWO = {"research": "labs", "language": "labs"}
FOUR = {**TWO, "speech": "products", "vision": "products"}
COPULA, LESSONS = Copula.of(WEEK), Lessons.start(["naive"], [1.0], FIVE_MINUTES)


def at(hours: float, whole: DemandHistory = WEEK) -> DemandHistory:
    """What is known so long after anybody first asked."""
    return until(whole, ASKED + round(hours * HOUR / FIVE_MINUTES))


def speaking(*hours: float, too_much: float = 0.0) -> Ensemble:
    """A mixture that said at some moments that each queue stays as it is, give or take a GPU, or demands more."""
    kept = []
    for hour in hours:
        known = at(hour)
        centre = known.demand[:, -1, None, None] + too_much
        told = np.broadcast_to(centre + np.array(LEVELS) - 0.5, (len(known.lines), len(LESSONS.windows), len(LEVELS)))
        which = np.arange(len(LESSONS.windows))
        kept.append(Said.by_nobody(int(known.times[-1]), known.lines, which, told))
    return Ensemble(lessons=LESSONS, copula=COPULA, kept=tuple(kept))


def asked(cohort_of: Mapping[str, str] = TWO) -> Held:
    return Held().learnt(speaking(), at(0), cohort_of)


def counted(held: Held) -> dict[tuple[str, float], tuple[float, int]]:
    """By bucket and nominal coverage: the coverage, and of how many outcomes."""
    return {(r.bucket, r.nominal): (r.coverage, round(r.outcomes)) for r in held.realised()}


def test_what_is_said_of_a_cohort_counts_once_it_is_known_what_came() -> None:
    said = asked().learnt(speaking(1), at(1), TWO)

    early, later = (said.learnt(speaking(1), at(hour), TWO) for hour in (1 + 5 / 60, 2))

    assert early.realised() == ()
    assert later.realised() == (
        Realised("cohorts", "next hour", 0.8, 1.0, 3.0),
        Realised("cohorts", "next hour", 0.95, 1.0, 3.0),
    )


def test_a_band_that_missed_counts_as_one_that_did_not_hold() -> None:
    wrong = speaking(1, too_much=5.0)

    held = asked().learnt(wrong, at(1), TWO).learnt(wrong, at(2), TWO)

    assert counted(held) == {("next hour", 0.8): (0.0, 3), ("next hour", 0.95): (0.0, 3)}


def test_what_was_said_before_anybody_asked_does_not_count() -> None:
    held = Held().learnt(speaking(-1, 0), at(0), TWO).learnt(speaking(-1, 0), at(6), TWO)

    assert held.realised() == ()


def test_each_cohort_counts_and_one_whose_queues_change_is_forgotten() -> None:
    spoken, moved = speaking(1), {**FOUR, "speech": "labs"}

    said = asked(FOUR).learnt(spoken, at(1), FOUR)

    assert counted(said.learnt(spoken, at(2), FOUR))["next hour", 0.8] == (1.0, 6)
    assert counted(said.learnt(spoken, at(2), {**TWO, "vision": "products"}))["next hour", 0.8] == (1.0, 3)
    assert said.learnt(spoken, at(2), moved).realised() == ()


def test_where_no_cohort_is_told_at_one_look_what_was_counted_stays() -> None:
    spoken = speaking(1)
    held = asked().learnt(spoken, at(1), TWO).learnt(spoken, at(2), TWO)

    after = held.learnt(spoken, at(3), {})

    assert after is held
    assert after.learnt(spoken, at(4), TWO).realised() == held.learnt(spoken, at(4), TWO).realised()


def test_where_there_are_no_cohorts_for_a_day_all_is_forgotten() -> None:
    spoken = speaking(1)
    held = asked().learnt(spoken, at(1), TWO).learnt(spoken, at(2), TWO)

    assert held.realised()
    assert held.learnt(spoken, at(27), {}).realised() == ()
    assert held.learnt(Naive(), at(3), TWO).realised() == ()


def test_where_nothing_is_new_nothing_is_to_be_saved() -> None:
    spoken, nobody = speaking(1), Held()
    held = asked().learnt(spoken, at(1), TWO)

    assert held.learnt(spoken, at(1), TWO) is held
    assert nobody.learnt(spoken, at(1), {}) is nobody


def test_what_has_all_been_scored_is_not_kept() -> None:
    spoken = speaking(1, 2)
    held = asked().learnt(spoken, at(1), TWO).learnt(spoken, at(2), TWO)

    assert [len(held.learnt(spoken, at(hour), TWO).kept) for hour in (24, 25, 26)] == [2, 1, 0]


def test_what_nobody_saw_counts_neither_way() -> None:
    blind = DemandHistory(WEEK.lines, WEEK.times, WEEK.running.copy(), WEEK.pending)
    blind.running[:, ASKED + 12 :] = np.nan
    spoken = speaking(1)

    held = asked().learnt(spoken, at(1), TWO).learnt(spoken, at(6, blind), TWO)

    assert held.realised() == ()


def test_an_outage_of_the_whole_cluster_does_not_count() -> None:
    still = DemandHistory(WEEK.lines, WEEK.times, WEEK.running.copy(), WEEK.pending)
    still.running[:, ASKED + 13 :] = 0.0
    spoken = speaking(1)

    held = asked().learnt(spoken, at(1), TWO).learnt(spoken, at(6, still.with_totals()), TWO)

    assert held.realised() == ()


def test_what_is_saved_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    spoken = speaking(1, 2)
    held = asked(FOUR).learnt(spoken, at(1), FOUR).learnt(spoken, at(2), FOUR)

    save(held.state(), tmp_path / "held")
    again = Held.restored(load(tmp_path / "held"))

    assert again.realised() == held.realised()
    assert again.learnt(spoken, at(9), FOUR).realised() == held.learnt(spoken, at(9), FOUR).realised()


def test_what_was_said_before_a_clock_was_set_back_is_forgotten_and_what_was_counted_stays() -> None:
    spoken = speaking(1, 5)
    held = asked().learnt(spoken, at(1), TWO).learnt(spoken, at(5), TWO)

    back = held.learnt(speaking(1), at(3), TWO)

    assert [said.at_s for said in held.kept] == [int(at(1).times[-1]), int(at(5).times[-1])]
    assert [said.at_s for said in back.kept] == [int(at(1).times[-1])]
    assert back.realised() == held.realised() != ()
