"""One check for all forecasters: whoever writes one runs this, and so does the test suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

import numpy as np

from forecasting.forecast import guard
from forecasting.protocol import Forecaster
from forecasting.rolling import until
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError

Make = Callable[[], Forecaster]

QUANTILES = (0.025, 0.1, 0.5, 0.9, 0.99)
STEP = timedelta(minutes=15)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WINDOWS = (Window(0 * MINUTE, 5 * MINUTE), *(Window.step(h * HOUR, STEP) for h in (1, 6, 24)))
HOURS = tuple(Window(h * HOUR, (h + 1) * HOUR) for h in range(6))
QUESTIONS: tuple[tuple[Window, ...], ...] = (
    (),
    (Window(timedelta(0), timedelta(seconds=1)),),
    (Window(timedelta(0), timedelta(minutes=7, seconds=13)),),
    (Window(20 * MINUTE, 30 * MINUTE), Window(5 * HOUR, 6 * HOUR)),
    (Window(0 * DAY, 7 * DAY), Window.step(7 * DAY, STEP)),
)
DAYS = 9
MEDIAN = QUANTILES.index(0.5)
ABSURD = 10.0  # times the largest demand ever seen, or a node of 8 GPUs


def check_forecaster(make: Make, *, scale_free: bool = True) -> None:
    """Raises ForecastError with one sentence for the first promise that a forecaster of `make` does not keep.

    `scale_free`: claims that four times the demand gives four times the forecast, for queues above one node.
    """
    _answers_in_every_situation(make)
    _answers_any_question(make)
    _answers_for_a_window_as_for_its_parts(make)
    _changes_nothing_it_was_given(make)
    _gives_the_same_answer_twice(make)
    _fits_another_object(make)
    _is_restored_from_its_state(make)
    _knows_nothing_of_what_follows(make)
    _forgets_the_order_of_lines(make)
    _takes_a_gap_for_a_gap(make)
    _starts_from_the_only_reading(make)
    _leaves_the_first_burst_possible(make)
    _serves_thousands_of_lines(make)
    if scale_free:
        _scales(make)


def gangs(lines: int = 4, steps: int = DAYS * 96, step: timedelta = STEP, seed: int = 0) -> DemandHistory:
    """Queues of gangs that come, stay for hours and go, more of them by day; one of them mostly at zero."""
    rng = np.random.default_rng(seed)
    rows = [_gangs(rng, steps, every=20 if i % 4 < 3 else 400) for i in range(lines)]
    return _history(np.array(rows).reshape(lines, steps), step)


def situations() -> dict[str, DemandHistory]:
    """Histories that break forecasters, by what is special about them."""
    usual = gangs()
    gaps, late, ended, unseen = (usual.running.copy() for _ in range(4))
    gaps[np.random.default_rng(1).random(gaps.shape) < 0.3] = np.nan
    late[0, :-8] = np.nan
    ended[0, -200:] = np.nan
    unseen[0] = np.nan
    return {
        "with the usual history": usual,
        "with no lines": _history(np.empty((0, 10))),
        "with lines and no history": _history(np.empty((3, 0))),
        "with one reading": _history(np.array([[40.0], [0.0], [np.nan]])),
        "with two readings": _history(np.array([[40.0, 41.0], [0.0, 8.0], [np.nan, 3.0]])),
        "with an hour of history": until(usual, 3),
        "with demand that never was": _history(np.zeros((2, 900))),
        "with demand that never moved": _history(np.full((2, 900), 64.0)),
        "with gaps": _history(gaps),
        "with a line that appears late": _history(late),
        "with a line that was not seen lately": _history(ended),
        "with a line that was never seen": _history(unseen),
        "with steps of 15 s": gangs(2, 2_000, timedelta(seconds=15)),
        "with steps of a day": gangs(2, 60, timedelta(days=1)),
    }


def _answers_in_every_situation(make: Make) -> None:
    for situation, history in situations().items():
        blank = make()
        for model, state in ((blank, "before fit"), (blank.fit(history), "after fit")):
            table = model.predict(history, WINDOWS, QUANTILES)
            try:
                guard(table, (len(history.lines), len(WINDOWS), len(QUANTILES)), model.name)
            except ForecastError as problem:
                raise ForecastError(f"{situation}, {state}: {problem}") from None
            _demand(bool((table <= ABSURD * _scale(history)).all()), model, f"is absurdly high {situation}, {state}")


def _answers_any_question(make: Make) -> None:
    history = gangs()
    model = make().fit(history)
    for windows in QUESTIONS:
        for quantiles in ([0.5], [0.001, 0.999], [0.333, 0.334]):
            table = model.predict(history, windows, quantiles)
            guard(table, (len(history.lines), len(windows), len(quantiles)), model.name)


def _answers_for_a_window_as_for_its_parts(make: Make) -> None:
    history = gangs()
    model = make().fit(history)
    parts = model.predict(history, HOURS, QUANTILES)
    whole = model.predict(history, [Window(HOURS[0].start, HOURS[-1].end)], QUANTILES)[:, 0]
    # A mean over hours is less uncertain than any of them, and lies among them.
    slack = (parts[..., -1] - parts[..., 0]).max(axis=1, keepdims=True) / 2 + 0.05 * _scale(history)[:, 0]
    among = (whole >= parts.min(axis=1) - slack) & (whole <= parts.max(axis=1) + slack)
    _demand(bool(among.all()), model, "takes a wide window for something else than its parts")


def _changes_nothing_it_was_given(make: Make) -> None:
    history = gangs()
    before = [array.copy() for array in (history.times, history.running, history.pending, history.demand)]
    model = make().fit(history)
    model.predict(history, WINDOWS, QUANTILES)
    after = [history.times, history.running, history.pending, history.demand]
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
    _demand(same, model, "changes the history that it is given; copy before writing")


def _gives_the_same_answer_twice(make: Make) -> None:
    history = gangs()
    one, other = make().fit(history), make().fit(history)
    first, second = (model.predict(history, WINDOWS, QUANTILES) for model in (one, other))
    again = one.predict(history, WINDOWS, QUANTILES)
    same = np.array_equal(first, second) and np.array_equal(first, again)
    _demand(same, one, "gives two answers to one question; seed its generator")


def _fits_another_object(make: Make) -> None:
    model, history = make(), gangs()
    before = model.predict(history, WINDOWS, QUANTILES)
    fitted = model.fit(history)
    _demand(fitted is not model, model, "fits itself; fit must return a new object")
    after = model.predict(history, WINDOWS, QUANTILES)
    _demand(np.array_equal(before, after), model, "is changed by fit; fit must return a new object")


def _is_restored_from_its_state(make: Make) -> None:
    history = gangs()
    asked = until(history, history.demand.shape[1] // 4)  # from a day or two alone, nobody could know as much
    for model in (make(), make().fit(history)):
        state = model.state()
        _demand(_plain(state), model, "gives a state that holds more than plain data and arrays")
        again = type(model).restored(state)
        first, second = (m.predict(asked, WINDOWS, QUANTILES) for m in (model, again))
        same = np.array_equal(first, second) and model.name == again.name
        _demand(same, model, "answers otherwise when it is restored from its state")


def _knows_nothing_of_what_follows(make: Make) -> None:
    whole = gangs()
    split = whole.demand.shape[1] * 4 // 5
    other = _history(np.hstack([whole.running[:, :split], 1_000 + whole.running[:, split:]]), whole.step, whole.times)
    model = make().fit(until(whole, split - 1))
    first = model.predict(until(whole, split - 1), WINDOWS, QUANTILES)
    model.predict(other, WINDOWS, QUANTILES)
    then = model.predict(until(other, split - 1), WINDOWS, QUANTILES)
    _demand(np.array_equal(first, then), model, "knows what follows the history that it is given")


def _forgets_the_order_of_lines(make: Make) -> None:
    history = gangs()
    backwards = DemandHistory(history.lines[::-1], history.times, history.running[::-1], history.pending[::-1])
    model = make().fit(history)
    straight, turned = (model.predict(h, WINDOWS, QUANTILES) for h in (history, backwards))
    _demand(np.allclose(straight, turned[::-1]), model, "mixes up lines that come in another order")


def _takes_a_gap_for_a_gap(make: Make) -> None:
    demand = np.full((1, 900), 40.0)
    demand[0, ::3] = np.nan
    demand[0, -3:] = np.nan
    history = _history(demand)
    model = make().fit(history)
    median = model.predict(history, WINDOWS[:1], QUANTILES)[0, 0, MEDIAN]
    _demand(bool(abs(median - 40) < 4), model, f"takes a gap for a zero: expects {median:.1f} GPUs of a steady 40")


def _starts_from_the_only_reading(make: Make) -> None:
    model = make()
    low, mid, high = model.predict(_history(np.array([[40.0]])), WINDOWS, (0.1, 0.5, 0.9))[0].T
    near = bool((np.abs(mid - 40) < 4).all()) and bool((low < mid).all()) and bool((mid < high).all())
    _demand(near, model, "does not start from the only reading with a band around it")


def _leaves_the_first_burst_possible(make: Make) -> None:
    history = _history(np.zeros((1, 900)))
    model = make().fit(history)
    highest = model.predict(history, WINDOWS, QUANTILES)[0, -1, -1]
    _demand(highest > 0, model, "gives the first burst of a queue no chance at all")


def _serves_thousands_of_lines(make: Make) -> None:
    history = gangs(4, 400)
    model = make().fit(history)
    many = _history(np.tile(history.running, (500, 1)))
    table = model.predict(many, WINDOWS, QUANTILES)
    guard(table, (2_000, len(WINDOWS), len(QUANTILES)), model.name)


def _scales(make: Make) -> None:
    usual, times = gangs(), 4.0
    small = _history(usual.running[_scale(usual)[:, 0, 0] > 8], usual.step)
    large = _history(small.running * times, small.step)
    forecasts = [make().fit(h).predict(h, WINDOWS, QUANTILES) for h in (small, large)]
    same = np.allclose(forecasts[0] * times, forecasts[1], rtol=1e-3, atol=1e-3)
    _demand(same, make(), "does not scale: four times the demand is not four times the forecast")


def _plain(value: object) -> bool:
    """Whether a store may write it down: arrays of numbers, strings, numbers, None, and lists and mappings of such."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_plain(item) for item in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    return value is None or type(value) in (str, int, float, bool)


def _demand(kept: bool, model: Forecaster, broken: str) -> None:
    if not kept:
        raise ForecastError(f"{model.name} {broken}")


def _scale(history: DemandHistory) -> Floats:
    """(L, 1, 1) the largest demand seen, at least a node's."""
    scale: Floats = np.fmax.reduce(history.demand, axis=1, initial=8.0)[:, None, None]
    return scale


def _history(running: Floats, step: timedelta = STEP, times: np.ndarray | None = None) -> DemandHistory:
    count = running.shape[1]
    if times is None:
        times = 1_772_452_800 - np.arange(count - 1, -1, -1, dtype=np.int64) * int(step.total_seconds())
    lines = tuple(Line(f"queue-{i}", "nvidia.com/gpu") for i in range(len(running)))
    return DemandHistory(lines, times, running, np.zeros_like(running))


def _gangs(rng: np.random.Generator, steps: int, every: int) -> Floats:
    """(T,) sum of gangs that arrive once in `every` steps and stay for two hours' worth of steps or so."""
    demand = np.zeros(steps)
    for start in np.flatnonzero(rng.random(steps) < 1 / every):
        stay = 1 + int(rng.exponential(every))
        demand[start : start + stay] += rng.choice([1.0, 4.0, 8.0, 16.0])
    return demand
