"""Guardrails: reasons to hold still. Each is one small file; `review` asks them all."""

from __future__ import annotations

from gyropilot.guardrails.borrowers import Borrowers
from gyropilot.guardrails.budgets import Budget
from gyropilot.guardrails.coherence import Coherence
from gyropilot.guardrails.cohort import CohortTotal
from gyropilot.guardrails.cooldown import Cooldown
from gyropilot.guardrails.floors import GuaranteedShare
from gyropilot.guardrails.freeze import Freeze
from gyropilot.guardrails.freshness import Freshness
from gyropilot.guardrails.pause import Pause
from gyropilot.guardrails.protected import Protected
from gyropilot.guardrails.protocol import Guardrail
from gyropilot.guardrails.ranges import PoolRange
from gyropilot.guardrails.running import RunningWork
from gyropilot.guardrails.steps import StepCap
from gyropilot.settings import Settings


def guardrails(settings: Settings) -> tuple[Guardrail, ...]:
    """Every guardrail, in the order in which an operator reads objections: may we at all, is it true, is it fair,
    is it safe, is it too much."""
    told = settings.guardrails
    floors = GuaranteedShare(told.guaranteed_share, settings.queues)
    return (
        Pause(told.pause),
        Freeze(told.freeze_windows),
        Freshness(told.max_state_age, {"prometheus": settings.prometheus.max_age}),
        Coherence(),
        floors,
        CohortTotal(),
        Borrowers(floors),
        _protected(settings),
        RunningWork(),
        PoolRange(settings.pools),
        StepCap(told.max_step_share, told.max_step_gpus),
        Cooldown(told.cooldown, told.reversal_cooldown),
        Budget(told.budget_window, told.max_moved_gpus, told.max_added_usd, told.max_lost_gpu_hours),
    )


def _protected(settings: Settings) -> Protected:
    told = settings.guardrails
    return Protected(
        namespaces=told.protected_namespaces,
        queues=frozenset(name for name, queue in settings.queues.items() if queue.protected),
        priority=told.protected_priority,
        min_runtime=told.min_runtime,
        max_preemptions=told.max_preemptions,
    )
