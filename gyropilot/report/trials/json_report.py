"""Trials as JSON: null where nothing is known."""

from __future__ import annotations

import json

import numpy as np

from envs.tally import Waits
from envs.trial import Trial
from gyropilot.report.services.json_report import to_object
from gyropilot.report.simulation.json_report import quantiles
from gyropilot.report.trials import losses
from gyropilot.report.trials.faults import events
from gyropilot.report.trials.result import Trials
from gyropilot.report.trials.words import headline


def to_json(found: Trials) -> str:
    """One object; USD, hours, times in seconds."""
    told = {
        "world": found.world,
        "days": found.days,
        "bound_usd": None if found.bound is None else found.bound.usd,
        "bound_usd_by_kind": None if found.bound is None else found.yardsticks[0].by_kind,
        "clairvoyant_plan_usd": None if found.plan is None else found.plan.usd,
        "pilots": [_object(found, nth, trial) for nth, trial in enumerate(found.trials)],
        "cannot_run": [each._asdict() for each in found.unfit],
        "notes": [*found.notes, *(event.sentence for event in events(found))],
        "summary": headline(found),
    }
    return json.dumps(told, indent=2)


def _object(found: Trials, nth: int, trial: Trial) -> dict[str, object]:
    use, (turned, back) = found.use(trial), found.turns_per_day(trial)
    return {
        "pilot": trial.pilot,
        "usd": trial.total_usd,
        "usd_by_kind": trial.by_kind,
        "usd_by_day": trial.by_day.tolist(),
        "over_bound_percent": found.over_bound(trial),
        "over_first_percent": [figure if np.isfinite(figure) else None for figure in found.over_first(trial)],
        "counted_days": found.counted_days,
        "provisioned_gpu_hours": use.provisioned_gpu_hours,
        "used_gpu_hours": use.used_gpu_hours,
        "utilisation": use.share,
        "preemptions": int(trial.stops.sum()),
        "lost_gpu_hours": float(trial.flows.lost.sum()),
        **losses.to_object(trial),
        "sent_gb": float(trial.flows.sent.sum()),
        "kwh": trial.kwh,
        "kg_co2": trial.kg_co2,
        "decisions_per_day": turned,
        "reversals_per_day": back,
        "queues": [_waits(waits) for waits in trial.waits],
        "services": [to_object(each) for each in found.services[nth]] if found.services else [],
    }


def _waits(waits: Waits) -> dict[str, object]:
    return {
        "queue": waits.queue,
        "jobs": waits.jobs,
        "never_started": waits.never_started,
        "left_waiting": waits.left_waiting,
        **quantiles(waits),
        "due": waits.due,
        "in_time_share": waits.in_time_share,
    }
