"""What each pilot's cluster did over time, as pictures need it."""

from __future__ import annotations

import numpy as np

from envs.terms import HOUR_S
from envs.trial import Trial
from gyropilot.domain import Floats, Market
from gyropilot.report.courses import LAYERS, Course
from gyropilot.report.stairs import Stair
from gyropilot.report.trials.faults import events
from gyropilot.report.trials.result import Trials

ORDER = tuple(Market)
"""From the floor up: what is owned, what is bought, what may be taken back."""


def stacked(found: Trials) -> list[list[int]]:
    """Which pools make a layer, from the floor up; the last is of several where there are more than colours."""
    pools = found.trials[0].world.pools
    hours = np.sum([trial.flows.there.sum(axis=0) for trial in found.trials], axis=0)
    used = [nth for nth in np.argsort(-hours, kind="stable").tolist() if hours[nth] > 0]
    told, rest = (used, []) if len(used) <= LAYERS else (used[: LAYERS - 1], used[LAYERS - 1 :])
    told.sort(key=lambda nth: (ORDER.index(pools[nth].market), nth))
    return [*([nth] for nth in told), *([rest] if rest else [])]


def layer_names(found: Trials) -> list[str]:
    """What a layer is called: its pool, or how many."""
    pools = found.trials[0].world.pools
    return [pools[layer[0]].name if len(layer) == 1 else f"{len(layer)} smaller pools" for layer in stacked(found)]


def course_of(found: Trials, trial: Trial) -> Course:
    """In GPUs, step by step, at the times of the file of jobs."""
    end_s = found.began_s + trial.world.step_s * len(trial.usd)
    times_s = np.linspace(found.began_s, end_s, len(trial.usd), endpoint=False)
    hours = trial.world.step_s / HOUR_S
    there = trial.flows.there / hours
    sums: Floats = np.cumsum([there[:, layer].sum(axis=1) for layer in stacked(found) or [[]]], axis=0)
    waiting = trial.flows.waiting.sum(axis=1) / hours
    demand = waiting + trial.flows.busy.sum(axis=1) / hours
    return Course(
        trial.pilot,
        tuple(Stair(times_s, row, end_s) for row in sums),
        Stair(times_s, demand, end_s),
        Stair(times_s, waiting, end_s),
        times_s[trial.flows.lost > 0],
        events=tuple(events(found)),
    )
