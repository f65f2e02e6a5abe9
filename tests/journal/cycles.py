"""Builders for this folder: cycles as the autopilot makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gyropilot.domain import Action, Cycle, Intent, Line, Objection, Outcome, OutcomeStatus, Verdict
from tests.fakes import GPU, NOW, action, forecast, pool, queue, state, workload

LOWER = action(before=16, after=12)
RAISE = action(before=16, after=20, target=f"training/h100/{GPU}", subject="training", queue="training")
HELD = Verdict(
    action(before=16, after=2),
    (Objection("guaranteed-share", "research would drop to 2 GPUs, guaranteed 8"), Objection("step-cap", "too much")),
)


def cycle(
    verdicts: Sequence[Verdict] = (Verdict(LOWER), HELD),
    minutes_ago: float = 0.0,
    mode: str = "act",
    **changes: Any,
) -> Cycle:
    """Seen, forecast and decided; by default one wish is approved and one held back."""
    seen = state([pool()], [queue("research", 16, running=8.0), queue("training", 16)], [workload()])
    values: dict[str, Any] = {
        "began_at": ago(minutes_ago),
        "state": seen,
        "forecast": forecast({"research": 8.0, "training": 0.0}, spread=0.5),
        "intent": Intent("newsvendor", {"h100": 8}, {Line("research", GPU): -4}, reasons={"h100": "it is busy"}),
        "verdicts": tuple(verdicts),
        "mode": mode,
    }
    return Cycle(**{**values, **changes})


def quiet(minutes_ago: float = 0.0) -> Cycle:
    return cycle((), minutes_ago)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def outcome(of: Action = LOWER, status: OutcomeStatus = OutcomeStatus.DONE) -> Outcome:
    return Outcome(of, status, f"{of}: {status}", f"/spec/quota: {of.before} → {of.after}")
