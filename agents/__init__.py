"""Agents decide which pool, quota or workload; pilots (`agents.pilots`) decide how much. Neither touches the world."""

from agents.preemptor import Preemptor
from agents.provisioner import Provisioner
from agents.rebalancer import Rebalancer
from agents.resumer import Resumer
from agents.step import Step
from agents.team import ALL_AGENTS, make_agents, propose_all

__all__ = ["ALL_AGENTS", "Preemptor", "Provisioner", "Rebalancer", "Resumer", "Step", "make_agents", "propose_all"]
