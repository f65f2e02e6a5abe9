"""What nodes that were lost cost each pilot, by cause: the market's interruptions told apart from failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from envs.losses import CAUSES
from envs.trial import Trial
from gyropilot.report.trials.result import Trials

NAMES = ("nodes lost to", "nodes", "jobs stopped", "lost GPU-h", "USD of it")


def rows(found: Trials) -> Iterator[tuple[str, ...]]:
    """A pilot, a cause and its figures, for causes that took anything from anybody."""
    taken = [{loss.cause for loss in trial.losses if loss.nodes} for trial in found.trials]
    told = [cause for cause in CAUSES if any(cause in mine for mine in taken)]
    for trial in found.trials:
        for loss in trial.losses:
            if loss.cause in told:
                figures = (f"{loss.nodes:,}", f"{loss.stops:,}", f"{loss.gpu_hours:,.1f}", f"{loss.usd:,.0f}")
                yield (trial.pilot, loss.cause, *figures)


def to_object(trial: Trial) -> dict[str, object]:
    """For JSON, by cause; nothing where causes are not told apart."""
    if not trial.losses:
        return {}
    return {"losses": {loss.cause: _figures(loss.nodes, loss.stops, loss.gpu_hours, loss.usd) for loss in trial.losses}}


def _figures(nodes: int, stops: int, gpu_hours: float, usd: float) -> dict[str, object]:
    return {"nodes": nodes, "jobs_stopped": stops, "lost_gpu_hours": gpu_hours, "lost_work_usd": usd}


def columns(trial: Trial) -> dict[str, Any]:
    """How often each job was on nodes that were lost, by cause; no columns where causes are not told apart."""
    if trial.hits is None:
        return {}
    return {cause: np.asarray(hits) for cause, hits in zip(CAUSES, trial.hits, strict=True)}
