"""The resumer: what was paused goes on, once those for whom it made way have what is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from agents.borrowing import waits_for_its_own
from gyropilot.domain import Action, ClusterState, Dial, Intent, View, Workload

LONGEST_PAUSE = timedelta(hours=2)
"""Who still waits after it waits for something else than what the pause gave."""


@dataclass(frozen=True, slots=True)
class Resumer:
    """Resumes the workloads that Gyropilot paused, whatever the pilot wants; what others paused is left to them.

    Kueue starts them again when there is room: until then they wait in their queue like any other.
    """

    name: str = field(default="resumer", init=False)

    def propose(self, view: View, intent: Intent) -> list[Action]:
        return list(_resumptions(view.state))


def _resumptions(state: ClusterState) -> Iterator[Action]:
    for workload in state.workloads:
        # One that still holds its GPUs is being stopped: that comes first.
        if workload.paused_at is None or workload.active or workload.stopping:
            continue
        paused_for = state.seen_at - workload.paused_at
        if not _somebody_waits(state, workload):
            yield _resume(workload, paused_for, f"no other queue waits for {workload.accelerator.resource} of its own")
        elif paused_for >= LONGEST_PAUSE:
            yield _resume(workload, paused_for, "a pause is no longer than that, whoever still waits")


def _somebody_waits(state: ClusterState, workload: Workload) -> bool:
    """Whether a queue from whose cohort the workload borrowed waits for its own."""
    cohort = next((q.cohort for q in state.queues if q.name == workload.queue), None)
    mates = (q for q in state.queues if cohort and q.cohort == cohort and q.name != workload.queue)
    return any(waits_for_its_own(q, workload.accelerator.resource) for q in mates)


def _resume(workload: Workload, paused_for: timedelta, why: str) -> Action:
    return Action(
        dial=Dial.WORKLOAD,
        target=workload.dial_target,
        before=0,
        after=1,
        reason=f"paused {paused_for / timedelta(minutes=1):.0f} min ago; {why}",
        subject=workload.key,
        queue=workload.queue,
        namespace=workload.namespace,
        resource=workload.accelerator.resource,
        gpus=workload.gpus,
    )
