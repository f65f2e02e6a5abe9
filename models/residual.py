"""Days of `envs.residual` as Stable-Baselines3 knows environments: all in one process."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from numpy.typing import NDArray

from agents.encoding import FACTORS, FEATURES, MOST, Rows
from envs.residual import Lanes
from models.alike import Alike


class ResidualWorlds(Alike):
    """Days begin anew in the step that ends them, and are cut off, not lost: what would have come is not forgotten."""

    def __init__(self, lanes: Lanes) -> None:
        self.render_mode = None
        pools = lanes.pools
        seen = Box(-MOST, MOST, (pools, len(FEATURES)), np.float32)
        super().__init__(lanes.count, seen, MultiDiscrete([len(FACTORS)] * pools))
        self.lanes, self.actions = lanes, np.zeros((lanes.count, pools), dtype=np.int64)

    def reset(self) -> Rows:
        """New days for all."""
        return self.lanes.begin()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        self.actions = np.asarray(actions)

    def step_wait(self) -> tuple[Rows, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Five minutes of each."""
        shown, saved = self.lanes.step(self.actions)
        over = self.lanes.over
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if over:
            for info, last in zip(infos, shown, strict=True):
                info.update({"terminal_observation": last, "TimeLimit.truncated": True})
            shown = self.lanes.begin()
        return shown, saved.astype(np.float32), np.full(self.num_envs, over), infos
