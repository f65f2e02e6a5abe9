"""The simulated cluster as Gymnasium knows environments: one, or many at once.

    import gymnasium
    one = gymnasium.make("envs:gyropilot/Cluster-v0")
    many = gymnasium.make_vec("envs:gyropilot/Cluster-v0", num_envs=64)

Stable-Baselines3's face is in `models.world`. All three stand before one `Fleet`.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete, Space
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.control import FACTORS, MOST, Fleet, Task, generated
from envs.terms import PoolTerms, Prices
from envs.workloads import Floats, TrainingProfile
from envs.world import World
from gyropilot.announced import ID
from gyropilot.domain import Market
from gyropilot.errors import SettingsError

__all__ = ["ID", "SAMPLE", "Cluster", "Clusters", "spaces"]

Seen = NDArray[np.float32]
Info = dict[str, Any]

SAMPLE = Task(
    World(
        (
            PoolTerms("owned", 4, 4, 4, market=Market.RESERVED),
            PoolTerms("on-demand", 2, 16, lead_s=600.0, price_usd_per_gpu_hour=2.5),
            PoolTerms(
                "spot", 0, 16, market=Market.SPOT, lead_s=300.0, price_usd_per_gpu_hour=1.0, interruptions_per_day=1.0
            ),
        )
    ),
    ("research", "vision", "speech", "sweeps"),
    Prices(),
    generated(
        (
            TrainingProfile("research", 40.0),
            TrainingProfile("vision", 60.0),
            TrainingProfile("speech", 30.0),
            TrainingProfile("sweeps", 20.0, sweep_share=0.5),
        )
    ),
)
"""Two hundred GPUs for four queues, for a day."""


def spaces(task: Task) -> tuple[Space[Any], MultiDiscrete]:
    """Of what one cluster shows, and of what may be wanted of it: a factor for each pool."""
    seen = Box(-1.0, MOST, (task.width,), np.float32)
    return seen, MultiDiscrete([len(FACTORS)] * len(task.world.pools))


class Cluster(gymnasium.Env[Seen, NDArray[np.int64]]):
    """One cluster for a day; it is never terminated, but truncated at the end of the day."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own

    def __init__(self, task: Task = SAMPLE, render_mode: str | None = None) -> None:
        self.task, self.render_mode = task, render_mode
        self.observation_space, self.action_space = spaces(task)
        self.fleet: Fleet | None = None

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Seen, Info]:
        """A new day; the same seed gives the same."""
        super().reset(seed=seed)
        self.fleet = Fleet(self.task, 1, [np.random.default_rng(self.np_random.integers(2**63))])
        return self.fleet.begin()[0].astype(np.float32), {}

    def step(self, action: NDArray[np.int64]) -> tuple[Seen, float, bool, bool, Info]:
        """Five minutes; `info` holds what was paid, in USD."""
        if self.fleet is None:
            raise RuntimeError("nothing has begun; call reset() first")
        seen, rewards, _ = self.fleet.step(np.asarray(action)[None])
        reward = float(rewards[0])
        return seen[0].astype(np.float32), reward, False, self.fleet.over, {"usd": -reward * self.fleet.scale_usd}


class Clusters(VectorEnv[Seen, NDArray[np.int64], NDArray[Any]]):
    """Many at once; the step after a day's last begins the next day, and its action does not count."""

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int = 1, task: Task = SAMPLE, render_mode: str | None = None) -> None:
        self.num_envs, self.task, self.render_mode = num_envs, task, render_mode
        self.single_observation_space, self.single_action_space = spaces(task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.fleet: Fleet | None = None
        self.chances: dict[int, np.random.Generator] = {}  # by place, once it has a seed

    def reset(self, *, seed: int | list[int | None] | None = None, options: Info | None = None) -> tuple[Seen, Info]:
        """New days for all: of a list each has the seed of its place, of one number that many more than the first."""
        seeds = seed if isinstance(seed, list) else [None if seed is None else seed + nth for nth in self._places]
        super().reset(seed=seeds[0])
        if len(seeds) != self.num_envs:
            raise SettingsError(f"{len(seeds)} seeds for {self.num_envs} clusters; give one for each, or one number")
        for nth, own in enumerate(seeds):
            if own is not None or nth not in self.chances:
                self.chances[nth] = np_random(own)[0]
        own_days = [np.random.default_rng(self.chances[nth].integers(2**63)) for nth in self._places]
        self.fleet = Fleet(self.task, self.num_envs, own_days)
        return self.fleet.begin().astype(np.float32), {}

    @property
    def _places(self) -> range:
        return range(self.num_envs)

    def step(self, actions: NDArray[np.int64]) -> tuple[Seen, Floats, NDArray[np.bool_], NDArray[np.bool_], Info]:
        """Five minutes of each."""
        if self.fleet is None:
            raise RuntimeError("nothing has begun; call reset() first")
        nobody = np.zeros(self.num_envs, dtype=np.bool_)
        if self.fleet.over:
            return (
                self.fleet.begin().astype(np.float32),
                np.zeros(self.num_envs),
                nobody,
                nobody.copy(),
                {"usd": np.zeros(self.num_envs)},
            )
        seen, rewards, _ = self.fleet.step(np.asarray(actions))
        over = np.full(self.num_envs, self.fleet.over)
        return seen.astype(np.float32), rewards, nobody, over, {"usd": -rewards * self.fleet.scale_usd}
