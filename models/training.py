"""Proximal policy optimisation (Schulman et al., 2017) on days of a simulated cluster, one seed at a time.

Training goes in legs of some rollouts. Each leg begins new days with a chance of its own, which follows from the seed
and the leg's number; at its end the policy is tried on the validation days and written down. So a training that was
interrupted goes on with the next leg and ends, bit for bit, where it would have ended.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from zipfile import BadZipFile

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed

from agents.pilots.network import running
from envs.residual import Lanes
from gyropilot.errors import SettingsError
from models.files import write_whole
from models.network import to_onnx
from models.policy import PoolPolicy
from models.residual import ResidualWorlds
from models.school import School

Told = Callable[[str], None]

PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a seed is."""

    seed: int
    legs: int = 0
    steps: int = 0
    picked_at: int = 0  # steps after which the validation days were cheapest; 0: as it began, which is its base
    validation_percent: float = 0.0  # there
    tried: tuple[tuple[int, float], ...] = ()  # steps, and percent on the validation days then

    def with_trial(self, steps: int, percent: float) -> Progress:
        """One leg further."""
        then = replace(self, legs=self.legs + 1, steps=steps, tried=(*self.tried, (steps, percent)))
        better = percent < self.validation_percent
        return replace(then, picked_at=steps, validation_percent=percent) if better else then

    @property
    def sentence(self) -> str:
        last = f"{self.tried[-1][1]:+.2f} %" if self.tried else "not tried yet"
        return (
            f"seed {self.seed}: {self.steps:,} steps, on validation days {last}, best {self.validation_percent:+.2f} %"
        )


@dataclass(frozen=True, slots=True)
class Learner:
    """One seed and its folder."""

    school: School
    seed: int
    folder: Path
    told: Told  # hears how far it is, often
    said: Told  # hears a sentence after each leg

    def learn(self, steps: int) -> Progress:
        """Goes on until at least so many steps, from where its folder says that it is."""
        torch.set_num_threads(1)  # layers are so small that threads would wait for each other
        progress = self._progress()
        while progress.steps < steps:
            progress = self._leg(progress, steps)
            self.said(progress.sentence)
        return progress

    def policy(self, progress: Progress) -> bytes:
        """The ONNX model that was best on the validation days."""
        return self._kept(f"policy-{progress.picked_at}.onnx")

    def _leg(self, progress: Progress, until: int) -> Progress:
        recipe = self.school.recipe
        rollouts = min(recipe.leg, -(-(until - progress.steps) // recipe.rollout_steps))
        model = self._model(progress)
        model.learn(rollouts * recipe.rollout_steps, _Pace(self._pace), reset_num_timesteps=False)
        policy = to_onnx(model.policy.layers())
        self.told(f"seed {self.seed}: validation days after {model.num_timesteps:,} steps")
        exam = self.school.validation
        percent = 100 * (float(exam.paid(running(policy)).sum() / exam.base_usd.sum()) - 1)
        then = progress.with_trial(model.num_timesteps, percent)
        self._keep(model, policy, then)
        return then

    def _model(self, progress: Progress) -> PPO:
        """As it was when the last leg ended, before the days of the next."""
        entropy = np.random.SeedSequence([self.seed, progress.legs])
        worlds = ResidualWorlds(Lanes(self.school.grounds, self.school.recipe.worlds, np.random.default_rng(entropy)))
        # Torch and the rollout buffer draw from global generators; there is no other way to seed them.
        set_random_seed(int(entropy.generate_state(1)[0]))
        if not progress.legs:
            return self._new(worlds)
        model = self._loaded(self._checkpoint(progress).name)
        model.set_env(worlds, force_reset=True)
        return model

    def _loaded(self, name: str) -> PPO:
        try:
            return PPO.load(io.BytesIO(self._kept(name)), device="cpu")
        except (ValueError, RuntimeError, BadZipFile) as problem:
            raise self._lost(name, problem) from problem

    def _kept(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as problem:
            raise self._lost(name, problem) from problem

    def _lost(self, name: str, problem: Exception) -> SettingsError:
        words = " ".join(str(problem).split())
        return SettingsError(f"{self.folder / name} cannot be gone on from ({words}); delete that folder to begin anew")

    def _new(self, worlds: ResidualWorlds) -> PPO:
        recipe = self.school.recipe
        return PPO(
            PoolPolicy,
            worlds,
            learning_rate=recipe.learning_rate,
            n_steps=recipe.rollout,
            batch_size=recipe.batch,
            n_epochs=recipe.epochs,
            gamma=recipe.gamma,
            gae_lambda=recipe.gae_lambda,
            target_kl=recipe.target_kl,
            ent_coef=recipe.entropy,
            policy_kwargs={"hidden": recipe.hidden, "peak": recipe.peak},
            device="cpu",
        )

    def _progress(self) -> Progress:
        try:
            told = json.loads((self.folder / PROGRESS).read_text(encoding="utf-8"))
            return Progress(**{**told, "tried": tuple((int(n), float(p)) for n, p in told["tried"])})
        except FileNotFoundError:
            return self._begun()
        except (OSError, ValueError, TypeError, KeyError) as problem:
            raise self._lost(PROGRESS, problem) from problem

    def _begun(self) -> Progress:
        """Written down as it is before it learned anything."""
        progress = Progress(self.seed)
        write_whole(self.folder / "policy-0.onnx", to_onnx(self._model(progress).policy.layers()))
        return progress

    def _keep(self, model: PPO, policy: bytes, progress: Progress) -> None:
        """What is new first, then that it holds, then what is old is dropped: whenever it stops, one is whole."""
        checkpoint = io.BytesIO()
        model.save(checkpoint)
        write_whole(self._checkpoint(progress), checkpoint.getvalue())
        if progress.picked_at == progress.steps:
            write_whole(self.folder / f"policy-{progress.steps}.onnx", policy)
        write_whole(self.folder / PROGRESS, json.dumps(asdict(progress), indent=2).encode())
        kept = {self._checkpoint(progress).name, f"policy-{progress.picked_at}.onnx"}
        for old in [*self.folder.glob("checkpoint-*.zip"), *self.folder.glob("policy-*.onnx")]:
            if old.name not in kept:
                with suppress(OSError):
                    old.unlink()

    def _checkpoint(self, progress: Progress) -> Path:
        return self.folder / f"checkpoint-{progress.steps}.zip"

    def _pace(self, steps: int, per_s: float) -> None:
        self.told(f"seed {self.seed}: {steps:,} steps, {per_s:,.0f} a second")


class _Pace(BaseCallback):
    """Tells after each rollout how far and how fast it is."""

    def __init__(self, told: Callable[[int, float], None]) -> None:
        super().__init__()
        self.tell = told

    def _on_training_start(self) -> None:
        self.began_s, self.began_at = perf_counter(), self.num_timesteps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.tell(self.num_timesteps, (self.num_timesteps - self.began_at) / (perf_counter() - self.began_s))
