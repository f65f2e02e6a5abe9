from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from agents import Resumer
from agents.resumer import LONGEST_PAUSE
from gyropilot.domain import Action, Dial, Intent, Queue, Workload
from tests.fakes import GPU, NOW, pool, queue, state, view, workload

IDLE = queue("training", 16)
WAITS = queue("training", 16, running=8.0, pending=8.0)


def paused(**changes: Any) -> Workload:
    """Of queue research; Gyropilot paused it 40 minutes ago."""
    return replace(workload(started=None, active=False, paused_at=NOW - timedelta(minutes=40)), **changes)


def proposed(gang: Workload, other: Queue = IDLE) -> list[Action]:
    return Resumer().propose(view(state([pool()], [queue("research", 16), other], [gang])), Intent("hold"))


def test_resumes_what_gyropilot_paused_once_nobody_waits_for_its_own() -> None:
    (action,) = proposed(paused())

    assert str(action) == "resume research/job (8 GPUs)"
    assert (action.dial, action.target, action.before, action.after) == (Dial.WORKLOAD, "research/job", 0, 1)
    assert (action.gpus, action.queue, action.namespace, action.resource) == (8, "research", "research", GPU)
    assert action.reason == f"paused 40 min ago; no other queue waits for {GPU} of its own"


def test_stays_paused_while_a_queue_of_the_cohort_waits_for_its_own() -> None:
    assert proposed(paused(), WAITS) == []
    assert len(proposed(paused(), replace(WAITS, cohort="another"))) == 1


def test_no_pause_lasts_longer_than_the_longest() -> None:
    (action,) = proposed(paused(paused_at=NOW - LONGEST_PAUSE), WAITS)

    assert action.reason == "paused 120 min ago; a pause is no longer than that, whoever still waits"


def test_leaves_alone_what_somebody_else_paused() -> None:
    assert proposed(paused(paused_at=None)) == []


def test_leaves_alone_what_somebody_else_resumed() -> None:
    assert proposed(paused(active=True)) == []


def test_waits_until_a_pause_has_taken_effect() -> None:
    assert proposed(paused(started=NOW - timedelta(hours=2))) == []
