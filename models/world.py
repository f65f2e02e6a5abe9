"""The simulated cluster as Stable-Baselines3 knows environments: many at once, without a process each.

from stable_baselines3 import PPO
from models.world import Worlds

PPO("MlpPolicy", Worlds(64), n_steps=128, batch_size=2048, n_epochs=4).learn(1_000_000)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.control import Fleet, Task
from envs.faces import SAMPLE, spaces
from models.alike import Alike

Seen = NDArray[np.float32]


class Worlds(Alike):
    """Days begin anew in the step that ends them; `terminal_observation` tells what was seen last.

    Each info of a day's end says that it was cut off, not lost, so that what would have come is not forgotten.
    """

    def __init__(self, count: int, task: Task = SAMPLE, seed: int = 0) -> None:
        self.render_mode = None
        super().__init__(count, *spaces(task))
        self.task, self.fleet = task, Fleet(task, count, np.random.default_rng(seed))
        self.actions = np.zeros((count, len(task.world.pools)), dtype=np.int64)

    def reset(self) -> Seen:
        """New days for all; after `seed`, of each those of its own seed."""
        told = [seed for seed in self._seeds if seed is not None]
        if told:
            self.fleet = Fleet(self.task, self.num_envs, [np.random.default_rng(seed) for seed in told])
        self._reset_seeds()
        return self.fleet.begin().astype(np.float32)

    def step_async(self, actions: NDArray[np.int64]) -> None:
        self.actions = np.asarray(actions)

    def step_wait(self) -> tuple[Seen, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Five minutes of each."""
        seen, rewards, _ = self.fleet.step(self.actions)
        shown, over = seen.astype(np.float32), self.fleet.over
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if over:
            for info, last in zip(infos, shown, strict=True):
                info.update({"terminal_observation": last, "TimeLimit.truncated": True})
            shown = self.fleet.begin().astype(np.float32)
        return shown, rewards.astype(np.float32), np.full(self.num_envs, over), infos
