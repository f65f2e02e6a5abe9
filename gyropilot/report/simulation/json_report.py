"""A simulation as JSON."""

from __future__ import annotations

import json

from envs.tally import Waits
from gyropilot.report.services.json_report import to_object
from gyropilot.report.simulation.result import Simulation
from gyropilot.report.simulation.words import headline


def to_json(found: Simulation) -> str:
    """One object; times in seconds."""
    figures = found.tally
    told = {
        **found.facts,
        "provisioned_gpu_hours": figures.provisioned_gpu_hours,
        "used_gpu_hours": figures.used_gpu_hours,
        "utilisation": figures.utilisation,
        "counted_s": figures.counted_s,
        "sent_gb": 0.0 if found.egress is None else found.egress.gb,
        "egress_usd": 0.0 if found.egress is None else found.egress.usd,
        "queues": [_object(waits) for waits in figures.waits],
        "services": [to_object(each) for each in found.services],
        "cannot_run": [each._asdict() for each in found.unfit],
        "notes": list(found.notes),
        "summary": headline(figures),
    }
    return json.dumps(told, indent=2)


def _object(waits: Waits) -> dict[str, object]:
    return {
        "queue": waits.queue,
        "jobs": waits.jobs,
        "never_started": waits.never_started,
        "left_waiting": waits.left_waiting,
        "gpu_hours": waits.gpu_hours,
        **quantiles(waits),
        "due": waits.due,
        "in_time_share": waits.in_time_share,
        "wait_mean_s": waits.mean_s if waits.waited else None,
        "wait_longest_s": waits.longest_s if waits.waited else None,
        "wait_longest_is_lower_bound": waits.others_are_least,
    }


def quantiles(waits: Waits) -> dict[str, object]:
    """Null where all left before they started; a lower bound where it depends on jobs that never did."""
    return {
        "wait_p50_s": waits.p50_s if waits.waited else None,
        "wait_p50_is_lower_bound": waits.p50_is_least,
        "wait_p95_s": waits.p95_s if waits.waited else None,
        "wait_p95_is_lower_bound": waits.p95_is_least,
    }
