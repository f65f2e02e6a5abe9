"""The agents in the order in which they propose: add capacity, move quota, only then take back, and let go on."""

from __future__ import annotations

from collections.abc import Sequence

from agents.preemptor import Preemptor
from agents.protocols import Agent
from agents.provisioner import Provisioner
from agents.rebalancer import Rebalancer
from agents.resumer import Resumer
from agents.step import Step
from gyropilot.domain import Action, Intent, View
from gyropilot.settings import Settings

ALL_AGENTS: tuple[Agent, ...] = (Provisioner(), Rebalancer(), Preemptor(), Resumer())
"""Without a cap on steps: they propose all that a pilot wants at once."""


def make_agents(settings: Settings) -> tuple[Agent, ...]:
    """The same, whose wishes for pools and quotas keep to the steps and floors that the guardrails allow."""
    told = settings.guardrails
    step = Step(told.max_step_share, told.max_step_gpus)
    protected = frozenset(name for name, queue in settings.queues.items() if queue.protected)
    return Provisioner(step), Rebalancer(step, told.guaranteed_share, protected), Preemptor(), Resumer()


def propose_all(view: View, intent: Intent, agents: Sequence[Agent] = ALL_AGENTS) -> list[Action]:
    """Every agent's actions, in the agents' order."""
    return [action for agent in agents for action in agent.propose(view, intent)]
