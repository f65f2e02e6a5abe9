"""The policy network: one small net for each pool, the same for all, so that it runs for any number of pools.

It begins as its base: the likeliest factor is what runs, and at first that is the one that changes nothing; others are
tried the rarer, the further they are from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from agents.encoding import FACTORS, FEATURES, UNMOVED
from models.network import Layers


class PoolPolicy(ActorCriticPolicy):
    """Scores for each pool from its own row; a value from the mean over pools."""

    def __init__(self, *args: Any, hidden: tuple[int, ...] = (64, 64), peak: float = 0.5, **more: Any) -> None:
        self.hidden, self.peak = tuple(hidden), peak
        super().__init__(*args, **more)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor = _Bodies(self.observation_space.shape[0], self.hidden)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.action_net = _Head(self.hidden[-1], self.peak)
        # The optimizer that was built knows only the head that was there before.
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "hidden": self.hidden, "peak": self.peak}

    def layers(self) -> Layers:
        """Weights and biases from a row to its scores."""
        linear = [part for part in (*self.mlp_extractor.actor, self.action_net.linear) if isinstance(part, nn.Linear)]
        return tuple((_array(part.weight), _array(part.bias)) for part in linear)


class _Bodies(nn.Module):
    """Rows of all pools, one after the other, as what actor and critic make of them."""

    def __init__(self, pools: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.pools, self.latent_dim_pi, self.latent_dim_vf = pools, pools * hidden[-1], hidden[-1]
        self.actor, self.critic = _body(hidden), _body(hidden)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward_actor(seen), self.forward_critic(seen)

    def forward_actor(self, seen: Tensor) -> Tensor:
        made: Tensor = self.actor(self._rows(seen))
        return made.flatten(1)

    def forward_critic(self, seen: Tensor) -> Tensor:
        made: Tensor = self.critic(self._rows(seen))
        return made.mean(dim=1)

    def _rows(self, seen: Tensor) -> Tensor:
        return seen.reshape(-1, self.pools, len(FEATURES))


class _Head(nn.Module):
    """The same scores for each pool."""

    def __init__(self, width: int, peak: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, len(FACTORS))
        nn.init.orthogonal_(self.linear.weight, gain=0.01)
        with torch.no_grad():
            self.linear.bias.copy_(-peak * (torch.arange(len(FACTORS)) - UNMOVED) ** 2)

    def forward(self, made: Tensor) -> Tensor:
        rows = made.reshape(len(made), -1, self.linear.in_features)
        scores: Tensor = self.linear(rows)
        return scores.flatten(1)


def _body(hidden: tuple[int, ...]) -> nn.Sequential:
    widths = (len(FEATURES), *hidden)
    parts = [(nn.Linear(before, after), nn.Tanh()) for before, after in zip(widths, hidden, strict=False)]
    return nn.Sequential(*(part for pair in parts for part in pair))


def _array(values: Tensor) -> Any:
    return values.detach().cpu().numpy().astype(np.float32).copy()
