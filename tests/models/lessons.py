"""Trainings that are over in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.pilots import Newsvendor
from envs.faults import Surprises
from envs.residual import Course
from envs.terms import PoolTerms, Prices
from envs.workloads import TrainingProfile, generate
from envs.world import World
from forecasting.forecasters.naive import Naive
from gyropilot.domain import Market
from gyropilot.settings import PilotSettings
from models.school import Plan, Recipe, School

if TYPE_CHECKING:
    from models.teaching import Lesson

POOLS = (
    PoolTerms("owned", 4, 4, 4, market=Market.RESERVED),
    PoolTerms("bought", 0, 20, lead_s=600.0),
    PoolTerms("spot", 0, 20, lead_s=300.0, market=Market.SPOT, price_usd_per_gpu_hour=1.0, interruptions_per_day=0.5),
)
RECIPE = Recipe(worlds=2, rollout=48, batch=48, epochs=2, hidden=(8, 8), days=2, leg=11)


def course(days: float = 5.5, pools: tuple[PoolTerms, ...] = POOLS, surprises: Surprises | None = None) -> Course:
    """Two busy queues."""
    profile = tuple(TrainingProfile(name, 60.0) for name in ("a", "b"))
    jobs = generate(profile, days, np.random.default_rng(0))
    return Course(World(pools), jobs, Prices(), Newsvendor(), Naive, surprises)


def school(days: float = 5.5, surprises: Surprises | None = None, **changes: Any) -> School:
    """Two days and a half to learn from, one to choose by, two held out."""
    how = {"plan": Plan(held_out=2.0, validation=1.0), "recipe": RECIPE, **changes}
    return School((course(days, surprises=surprises),), **how)


def lesson(folder: Path, **changes: Any) -> Lesson:
    """One seed."""
    from models.teaching import Lesson  # brings torch

    how: dict[str, Any] = {"base": PilotSettings(), "forecaster": "naive", "scenario": "", "steps": 96, "seeds": (0,)}
    return Lesson(**{**how, "folder": folder, **changes})
