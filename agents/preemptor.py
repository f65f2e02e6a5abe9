"""The preemptor: which workloads make way, least lost work first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from agents.borrowing import wanted_flavors
from agents.cover import cheapest_cover
from agents.expectation import with_effects
from gyropilot.domain import Action, ClusterState, Dial, Intent, Line, View, Workload, WorkloadKind

DISTURBANCE_GPU_HOURS = 0.01
"""Added to the lost work of each gang, so that of equal choices the one with fewer gangs is taken."""


@dataclass(frozen=True, slots=True)
class Preemptor:
    """Pauses the workloads of a queue that give back the GPUs asked for with the least work lost.

    Lower priorities make way first, inference services last. Never touched: what is protected, what cannot
    be paused safely, and what does not run. Where all that may be paused does not suffice, all of it makes way.
    """

    name: str = field(default="preemptor", init=False)

    def propose(self, view: View, intent: Intent) -> list[Action]:
        actions = [
            _pause(workload, view.state.seen_at, intent.why(line))
            for line, gpus in sorted(intent.reclaim_gpus.items())
            for workload in victims(view.state, line, gpus)
        ]
        return with_effects(view, actions)


def victims(state: ClusterState, line: Line, need: int) -> list[Workload]:
    """The workloads to pause, without any of which the need is not covered."""
    picked: list[Workload] = []
    candidates = sorted(_candidates(state, line), key=_rank)
    for _, same_rank in groupby(candidates, key=_rank):
        left = need - sum(w.gpus for w in picked)
        if left > 0:
            picked += _cheapest(list(same_rank), left, state.seen_at)
    return _without_surplus(picked, need, state.seen_at)


def _candidates(state: ClusterState, line: Line) -> list[Workload]:
    """What may be paused, on flavors where that helps; a flavor that is not told may be the right one."""
    queue = next((q for q in state.queues if q.name == line.queue), None)
    wanted = wanted_flavors(state, queue, line.resource) if queue else set()
    return [w for w in state.workloads if _may_pause(w, line) and (not wanted or w.flavor in wanted | {""})]


def _may_pause(workload: Workload, line: Line) -> bool:
    return (
        Line(workload.queue, workload.accelerator.resource) == line
        and workload.active
        and workload.started is not None
        and workload.protected is None
        and bool(workload.dial_target)
        and workload.gpus > 0
    )


def _rank(workload: Workload) -> tuple[bool, int]:
    return workload.kind is WorkloadKind.INFERENCE, workload.priority


def _cheapest(candidates: Sequence[Workload], need: int, now: datetime) -> list[Workload]:
    """The cover with the least lost work, fewer gangs where equal; all candidates if they do not suffice."""
    in_order = sorted(candidates, key=lambda w: (w.gpus, w.key))
    costs = [w.lost_gpu_hours(now) + DISTURBANCE_GPU_HOURS for w in in_order]
    cover = cheapest_cover(need, [w.gpus for w in in_order], costs)
    return in_order if cover is None else [in_order[i] for i in cover]


def _without_surplus(picked: Sequence[Workload], need: int, now: datetime) -> list[Workload]:
    """Spare the gangs, most lost work first, that a gang of a higher rank has made superfluous."""
    kept = list(picked)
    surplus = sum(w.gpus for w in kept) - need
    for workload in sorted(picked, key=lambda w: (-w.lost_gpu_hours(now), w.key)):
        if workload.gpus <= surplus:
            kept.remove(workload)
            surplus -= workload.gpus
    return kept


def _pause(workload: Workload, now: datetime, why: str) -> Action:
    saved = "its last checkpoint" if workload.last_checkpoint else "its start"
    loses = f"pausing it loses {workload.lost_gpu_hours(now):.1f} GPU-hours: work since {saved}, and the restart"
    return Action(
        dial=Dial.WORKLOAD,
        target=workload.dial_target,
        before=1,
        after=0,
        reason=f"{why}; {loses}" if why else loses,
        subject=workload.key,
        queue=workload.queue,
        namespace=workload.namespace,
        resource=workload.accelerator.resource,
        gpus=-workload.gpus,
    )
