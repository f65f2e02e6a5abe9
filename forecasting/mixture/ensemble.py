"""Gyropilot's own forecaster: experts who are listened to as far as they were right, held to what really came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from forecasting.demand.calendar import UTC_PLACE, Place, place_of, settled
from forecasting.demand.events import Named
from forecasting.demand.lineage import quieted, without_vanished
from forecasting.demand.outages import totals_without_outages, without_outages
from forecasting.demand.seen import scale_gpus, some_lines
from forecasting.mixture.copula import Copula, blended
from forecasting.mixture.events import NO_EVENTS, Events
from forecasting.mixture.experts import installed, pace, prior
from forecasting.mixture.heard import NOTHING, Habit, Heard, Question
from forecasting.mixture.lessons import LEVELS, PROMPT, Answer, Lessons, learnt_about
from forecasting.mixture.said import Said, feedback
from forecasting.protocol import Forecaster, State
from forecasting.rolling import until
from forecasting.store import REMEDY, nested
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Window
from gyropilot.errors import ForecastError

SPEAKS_EVERY = timedelta(minutes=30)
"""Between forecasts that are kept until it is known what came; of windows beyond PROMPT only those of each hour."""

CATCH_UP = timedelta(days=1)
"""After a pause, forecasts are made up for as far back: from what was known then, so that the lessons are honest."""

REMEMBERED = timedelta(days=3)
"""A forecast is scored within this: its windows end a day ahead, and CATCH_UP may make it late."""

WARM_UP = timedelta(days=4)
WARM_UP_SHARE = 0.25
"""Of the history, at most: experts need the rest to learn from."""

WARM_UP_LINES = 200


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Predict, score, then learn: shares per line, window and quantile follow what each expert got wrong.

    On top of the experts' mixture offsets keep quantiles exceeded as often as they say, bands are widened while a line
    surprises, and totals lie midway between their own forecast and what the queues' forecasts add up to. All of it
    learns at `update`, from forecasts that were kept until it was known what came; the first `fit` replays the last
    days for a start.
    """

    experts: tuple[Forecaster, ...] = field(default_factory=lambda: tuple(kind() for kind in installed()))
    lessons: Lessons | None = None
    copula: Copula | None = None
    kept: tuple[Said, ...] = ()
    heard: Heard | None = None  # of the experts at this tick
    habit: Habit = field(default_factory=Habit)
    updated_s: int | None = None  # epoch seconds of the newest reading at the last update
    events: Events = NO_EVENTS

    name = "gyropilot"

    @property
    def place(self) -> Place | None:
        """By whose clocks its experts go."""
        return next((place for place in map(place_of, self.experts) if place is not None), None)

    def settled(self, place: Place) -> Self:
        """The same, whose experts go by the clocks of `place`."""
        return replace(self, experts=tuple(settled(expert, place) for expert in self.experts))

    def informed(self, known: tuple[Named, ...]) -> Self:
        """The same, knowing of these events."""
        return replace(self, events=self.events.informed(known))

    def fit(self, history: DemandHistory) -> Self:
        """Experts learn from everything; lessons, where there are none yet, from a replay of the last days."""
        taught = self if self.lessons is not None else self._warmed_up(history)
        return taught._fitted(history)

    def update(self, history: DemandHistory) -> Self:
        """Scores what was said before and has come true or not, and keeps what is said now."""
        if not history.lines or not len(history.times):
            return self
        model = self._without_strange(history)
        if model.updated_s != history.times[-1]:
            model = replace(model, updated_s=int(history.times[-1]))
        if model.heard is not None and not model.heard.is_of(history):
            model = replace(model, heard=None)
        for column in model._speaking(history):
            known = until(history, column)
            if known is history and self._goes_on(history):
                # What has come true is learnt from at the next tick, so that none does everything.
                return model._spoken(known, self.habit.question)
            model = model._scored(known)._spoken(known, self.habit.question if known is history else NOTHING)
        return model._scored(history)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs.

        `habit` remembers what was asked, so that `update` asks the experts for it beforehand: no answer depends on it.
        """
        if not history.lines or not windows:
            return np.zeros((len(history.lines), len(windows), len(quantiles)))
        self.habit.question = asked = Question.of(windows, sorted({*quantiles, 0.1, 0.9}))
        _, answer = self._answer(history, asked)
        told: Floats = answer.told[..., [asked.quantiles.index(quantile) for quantile in quantiles]]
        return told

    def state(self) -> State:
        """Everything, what is not scored yet included."""
        return {
            "experts": {expert.name: expert.state() for expert in self.experts},
            "lessons": None if self.lessons is None else self.lessons.state(),
            "copula": None if self.copula is None else self.copula.state(),
            "kept": [said.state() for said in self.kept],
            **self.events.state(),
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        """From `state`. Raises ForecastError where it was saved with other experts."""
        saved = nested(state, "experts")
        kinds = installed()
        if list(saved) != [kind.name for kind in kinds]:
            raise ForecastError(f"saved were the experts {', '.join(saved)}, which are others by now; {REMEDY}")
        lessons = None if state["lessons"] is None else Lessons.restored(state["lessons"])
        copula = None if state["copula"] is None else Copula.restored(state["copula"])
        asked = tuple(kind.restored(saved[kind.name]) for kind in kinds)
        kept = tuple(Said.restored(said, len(kinds), len(LEVELS)) for said in state["kept"])
        return cls(asked, lessons, copula, kept, events=Events.restored(state))

    def _lessons_for(self, history: DemandHistory) -> Lessons:
        """What was learnt; the start where nothing was, or in steps of another length."""
        if self.lessons is not None and self.lessons.windows == learnt_about(history.step):
            return self.lessons
        return Lessons.start(self._names, self._prior(history), history.step, pace(history))

    @property
    def _names(self) -> list[str]:
        return [expert.name for expert in self.experts]

    def _prior(self, history: DemandHistory) -> Floats:
        return prior(self._names, learnt_about(history.step), history)

    def _answer(self, history: DemandHistory, question: Question) -> tuple[Floats, Answer]:
        """What each expert says (E, L, W, Q), and what is made of it; the quantiles hold 0.1 and 0.9."""
        lessons = self._lessons_for(history).for_lines(history.lines)
        experts = self._hear(history, question).about(question)
        mixed, correction = lessons.mixed(experts, *question), lessons.correction(*question, scale_gpus(history))
        mixed = self.events.moved(mixed, history, question.windows)
        if self.copula is None or all(line.queue != ALL_QUEUES for line in history.lines):
            return experts, correction.told(mixed)
        queues = without_vanished(quieted(correction.told(mixed).told, history, *question), history)
        totals = self.copula.totals(history.lines, queues, *question)
        for row, line in enumerate(history.lines):
            if line in totals:
                mixed[row] = blended(mixed[row], totals[line])
        return experts, correction.told(mixed)

    def _hear(self, history: DemandHistory, question: Question) -> Heard:
        """What experts say, asked only where they were not before."""
        if self.heard is not None and self.heard.knows(history, question):
            return self.heard
        return Heard.of(self.experts, history, question)

    def _fitted(self, history: DemandHistory) -> Self:
        taught = totals_without_outages(history)
        experts = tuple(expert.fit(taught) for expert in self.experts)
        lessons = self._lessons_for(history) if self.lessons is not None else None
        lessons = lessons and lessons.refitted(self._prior(history), pace(history))
        events, copula = self.events.fit(history, self.place or UTC_PLACE), Copula.of(without_outages(history))
        return replace(self, experts=experts, lessons=lessons, copula=copula, heard=None, events=events)

    def _warmed_up(self, history: DemandHistory) -> Self:
        """With lessons from the last days of some lines, told by experts who did not know those days."""
        back = min(WARM_UP, WARM_UP_SHARE * len(history.times) * history.step)
        first = len(history.times) - 1 - int(back / history.step)
        if not history.lines or back < 4 * SPEAKS_EVERY or first < 1:
            return self
        some = _thinned(history, WARM_UP_LINES)
        model = self._fitted(until(some, first))
        stride = max(1, round(timedelta(hours=1) / history.step))
        for column in range(first, len(history.times), stride):
            known = until(some, column)
            model = model._scored(known)._spoken(known)
        # What was said of the total of some queues is not to be held against that of all.
        kept = model.kept if some is history else tuple(said.without_totals() for said in model.kept)
        return replace(self, lessons=model._lessons_for(history), kept=kept)

    def _without_strange(self, history: DemandHistory) -> Self:
        """Without what was kept about other windows, or from a moment to come, as after a clock was set back."""
        same = self.lessons is not None and self.lessons.windows == learnt_about(history.step)
        kept = tuple(said for said in self.kept if same and said.at_s <= history.times[-1])
        return self if len(kept) == len(self.kept) else replace(self, kept=kept)

    def _goes_on(self, history: DemandHistory) -> bool:
        """Whether the last update was a step ago, and so the next one will soon follow."""
        step_s = history.step.total_seconds()
        return self.updated_s == history.times[-1] - step_s and 2 * history.step <= SPEAKS_EVERY

    def _speaking(self, history: DemandHistory) -> Iterator[int]:
        """Columns since the last forecast that was kept at which there should be another; now where none was."""
        every_s = max(SPEAKS_EVERY, history.step).total_seconds()
        now_s = int(history.times[-1])
        at_s: float = now_s
        if self.kept:
            at_s = max(self.kept[-1].at_s + every_s, now_s - CATCH_UP.total_seconds())
        while at_s <= now_s:
            column = int(np.searchsorted(history.times, at_s))
            yield column
            at_s = int(history.times[column]) + every_s

    def _spoken(self, history: DemandHistory, soon: Question = NOTHING) -> Self:
        """With a forecast kept that is made now; experts are also asked what is likely to be asked `soon`."""
        lessons = self._lessons_for(history).for_lines(history.lines)
        which = np.arange(len(lessons.windows))
        if not self._new_hour(history):
            which = np.array([w for w in which if lessons.windows[w].end <= PROMPT])
        question = Question.of([lessons.windows[w] for w in which], LEVELS)
        model = replace(self, heard=self._hear(history, question.and_also(soon)))
        experts, answer = model._answer(history, question)
        scored = np.zeros(len(which), dtype=bool)
        tables = (table.astype(np.float32) for table in (experts, answer.mixed, answer.told, answer.spread))
        said = Said(int(history.times[-1]), history.lines, which, scored, *tables)
        return replace(model, lessons=lessons, kept=(*self.kept, said))

    def _new_hour(self, history: DemandHistory) -> bool:
        """Whether the last forecast of all windows is an hour old."""
        count = len(learnt_about(history.step))
        whole = [said.at_s for said in self.kept if len(said.which) == count]
        return not whole or int(history.times[-1]) - whole[-1] >= timedelta(hours=1).total_seconds()

    def _scored(self, history: DemandHistory) -> Self:
        """Having learnt from all that has come true or not by now."""
        if self.lessons is None or not self.habit.due(self.kept, self.lessons.windows, int(history.times[-1])):
            return self
        lessons, every = self.lessons, max(SPEAKS_EVERY, history.step)
        kept, rounds = feedback(self.kept, lessons.windows, totals_without_outages(history, REMEMBERED))
        now = datetime.fromtimestamp(int(history.times[-1]), UTC)
        for came in rounds:
            lessons = lessons.learnt(history.lines, came, now, every)
        return replace(self, lessons=lessons, kept=kept) if rounds else self


def _thinned(history: DemandHistory, most: int) -> DemandHistory:
    """At most so many queues, evenly picked, and the totals of those."""
    queues = [row for row, line in enumerate(history.lines) if line.queue != ALL_QUEUES]
    if len(queues) <= most:
        return history
    some = some_lines(history, [queues[i] for i in np.linspace(0, len(queues) - 1, most).round().astype(int)])
    return some.with_totals() if len(queues) < len(history.lines) else some
