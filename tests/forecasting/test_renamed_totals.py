"""A cluster whose queues are renamed day by day: what is said of its total must go on holding."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecasting.backtest.entrants import Own
from forecasting.forecasters.naive import Naive
from forecasting.foresight import Foresight
from forecasting.mixture import experts
from forecasting.mixture.ensemble import Ensemble
from forecasting.rolling import until
from gyropilot.domain import ALL_QUEUES, ClusterState, DemandHistory, Floats, Line, Window
from gyropilot.settings import ForecastSettings
from tests.fakes import GPU, history, state

HOUR = timedelta(hours=1)
DAYS, QUEUES = 20, 6
FIRST_RENAME, FIRST_SCORED = 24 * 7, 24 * 10
SETTINGS = ForecastSettings(horizons=(HOUR, 6 * HOUR, 24 * HOUR), quantiles=(0.1, 0.5, 0.9))
TOTAL = Line(ALL_QUEUES, GPU)


def demand() -> Floats:
    """(QUEUES, T) GPUs: gangs that come by chance and stay for half a day or so, beside what always runs."""
    rng = np.random.default_rng(11)
    change = np.zeros((QUEUES, 24 * DAYS + 1))
    for queue, step in np.argwhere(rng.random((QUEUES, 24 * DAYS)) < 0.5):
        gpus, end = rng.choice([1, 2, 4, 8]), step + 1 + int(rng.exponential(10))
        change[queue, step] += gpus
        change[queue, min(end, 24 * DAYS)] -= gpus
    return 24.0 + np.cumsum(change, axis=1)[:, :-1]


def renamed(whole: Floats, changes: Iterable[tuple[int, int]]) -> DemandHistory:
    """A queue goes on under another name from each column."""
    names, since = [0] * QUEUES, [0] * QUEUES
    lines: dict[str, list[float]] = {}

    def closed(queue: int, end: int) -> None:
        row = np.full(whole.shape[1], np.nan)
        row[since[queue] : end] = whole[queue, since[queue] : end]
        lines[f"queue-{queue}-{names[queue]}"] = row.tolist()
        names[queue], since[queue] = names[queue] + 1, end

    for queue, at in changes:
        closed(queue, at)
    for queue in range(QUEUES):
        closed(queue, whole.shape[1])
    return history(lines, HOUR)


def seen_at(whole: DemandHistory, column: int) -> ClusterState:
    """What Kubernetes and Prometheus show then: queues of today, and those that exist no more."""
    known = until(whole, column)
    ever, now = np.isfinite(known.demand).any(axis=1), np.isfinite(known.demand[:, -1])
    there, gone = (_some(known, rows) for rows in (ever & now, ever & ~now))
    return state(history=there, gone=gone, seen_at=datetime.fromtimestamp(int(known.times[-1]), UTC))


def _some(whole: DemandHistory, rows: np.ndarray) -> DemandHistory:
    lines = tuple(whole.lines[row] for row in np.flatnonzero(rows))
    return DemandHistory(lines, whole.times, whole.running[rows], whole.pending[rows])


def test_bands_of_a_total_hold_in_a_replay_that_shows_old_names_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experts, "EXPERTS", (Naive,))
    whole = demand()
    turns = ((nth % QUEUES, at) for nth, at in enumerate(range(FIRST_RENAME, whole.shape[1], 12)))
    seen, total = renamed(whole, turns).with_totals(), whole.sum(axis=0)
    mine, inside = Own("gyropilot", Ensemble(), timedelta(days=1)), []
    windows = [Window((hours - 1) * HOUR, hours * HOUR) for hours in (1, 6, 24)]

    for column in range(24 * 6, 24 * (DAYS - 1), 3):
        low, _, high = mine.forecast(until(seen, column), windows, (0.1, 0.5, 0.9))[-1].T
        came = total[column + np.array([1, 6, 24])]
        inside.append((low <= came) & (came <= high))

    held = np.mean(inside[(FIRST_SCORED - 24 * 6) // 3 :], axis=0)
    assert held == pytest.approx([0.8, 0.8, 0.8], abs=0.1)


def test_bands_of_a_total_hold_while_all_queues_are_renamed_at_once_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(experts, "EXPERTS", (Naive,))
    whole = demand()
    together = ((queue, at) for at in range(FIRST_RENAME, whole.shape[1], 36) for queue in range(QUEUES))
    seen, total, mine = renamed(whole, together), whole.sum(axis=0), Foresight(SETTINGS)
    inside = []

    for column in range(24 * 6, 24 * (DAYS - 1), 2):
        now = seen_at(seen, column)
        low, _, high = mine(now).of(TOTAL).T
        for work in mine.due(now.seen_at):
            work()
        came = total[column + np.array([1, 6, 24])]
        inside.append((low <= came) & (came <= high))

    held = np.mean(inside[(FIRST_SCORED - 24 * 6) // 2 :], axis=0)
    assert held == pytest.approx([0.8, 0.8, 0.8], abs=0.1)
