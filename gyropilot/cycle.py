"""One turn of the loop: hands each stage's value to the next. The stages never call each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from actuators.apply import apply_all
from actuators.protocol import Actuator
from agents.expectation import with_joint_effects
from agents.protocols import Agent, Pilot
from agents.team import propose_all
from gyropilot.domain import Action, ClusterState, Cycle, DemandForecast, Dial, Outcome, Queue, Quota, Turn, View
from gyropilot.guardrails.protocol import Guardrail, Situation
from gyropilot.guardrails.review import review


class Memory(Protocol):
    """What was done before, and where it is written down."""

    def recent(self, since: datetime) -> tuple[Turn, ...]: ...
    def entitled(self) -> Mapping[str, int]: ...
    def entitle(self, quotas: Sequence[Quota]) -> None: ...
    def paused(self) -> Mapping[str, datetime]: ...
    def intend(self, cycle: Cycle) -> int: ...
    def conclude(self, cycle_id: int, outcomes: Sequence[Outcome]) -> None: ...


class NoMemory:
    """Remembers nothing: for a recommendation where no journal is kept."""

    def recent(self, since: datetime) -> tuple[Turn, ...]:
        return ()

    def entitled(self) -> Mapping[str, int]:
        return {}

    def entitle(self, quotas: Sequence[Quota]) -> None:
        """Nothing is kept."""

    def paused(self) -> Mapping[str, datetime]:
        return {}

    def intend(self, cycle: Cycle) -> int:
        return 0

    def conclude(self, cycle_id: int, outcomes: Sequence[Outcome]) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Autopilot:
    """The stages, chosen elsewhere. `mode` says in the journal what the actuators really do."""

    observe: Callable[[datetime], ClusterState]
    forecast: Callable[[ClusterState], DemandForecast]
    pilot: Pilot
    agents: Sequence[Agent]
    guardrails: Sequence[Guardrail]
    actuators: Mapping[Dial, Actuator]
    memory: Memory
    look_back: timedelta  # how far back turns count against budgets and cooldowns
    mode: str

    def decide(self, now: datetime) -> Cycle:
        """Everything up to the verdicts. Touches nothing, writes nothing: the whole of a recommendation."""
        return self._decide(now, self.observe(now))

    def plan(self, now: datetime) -> Cycle:
        """A decision and what the actuators answer to it, unjournalled: give it rehearsing ones."""
        cycle = self.decide(now)
        return replace(cycle, outcomes=apply_all(_approved(cycle), self.actuators))

    def step(self, now: datetime) -> Cycle:
        """Decide, write down, act, write down."""
        seen = self.observe(now)
        # Before deciding, so that a quota which the operator changed just now is a floor already.
        self.memory.entitle([quota for queue in seen.queues for quota in queue.quotas])
        cycle = self._decide(now, seen)
        cycle = replace(cycle, id=self.memory.intend(cycle))
        cycle = replace(cycle, outcomes=apply_all(_approved(cycle), self.actuators))
        self.memory.conclude(cycle.id or 0, cycle.outcomes)
        return cycle

    def _decide(self, now: datetime, seen: ClusterState) -> Cycle:
        state = self._remembered(seen)
        forecast = self.forecast(state)
        view = View(state, forecast)
        intent = self.pilot.steer(view)
        actions = propose_all(view, intent, self.agents)
        situation = Situation(now, state, self.memory.recent(now - self.look_back), (), self.memory.entitled())
        verdicts = with_joint_effects(view, review(actions, self.guardrails, situation))
        return Cycle(now, state, forecast, intent, verdicts, mode=self.mode)

    def _remembered(self, state: ClusterState) -> ClusterState:
        """The state whose quotas know what they were before Gyropilot ever turned them, whose workloads who paused."""
        entitled, paused = self.memory.entitled(), self.memory.paused()
        return replace(
            state,
            queues=tuple(_with_entitlements(queue, entitled) for queue in state.queues),
            workloads=tuple(replace(w, paused_at=paused.get(w.dial_target)) for w in state.workloads),
        )


def _with_entitlements(queue: Queue, entitled: Mapping[str, int]) -> Queue:
    quotas = tuple(replace(q, entitled_gpus=entitled.get(q.dial_target, q.entitled_gpus)) for q in queue.quotas)
    return replace(queue, quotas=quotas)


def _approved(cycle: Cycle) -> list[Action]:
    return [verdict.action for verdict in cycle.verdicts if verdict.approved]
