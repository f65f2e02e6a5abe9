"""Services as JSON: null for a time that never comes."""

from __future__ import annotations

import math

from envs.served import Served


def to_object(found: Served) -> dict[str, object]:
    """Of one service; times in seconds."""
    service = found.service
    return {
        "name": service.name,
        "queue": service.queue,
        "unit": service.unit,
        "asked": found.asked,
        "unanswered": found.unanswered,
        "replicas_wanted_mean": found.wanted.mean,
        "replicas_wanted_peak": found.wanted.peak,
        "replicas_answering_mean": found.ran_mean,
        "replicas_answering_peak": found.ran_peak,
        "target_s": service.target_s,
        "target_share": service.target_share,
        "share_within_target": found.share_within,
        "answer_p50_s": _finite(found.p50_s),
        "answer_p95_s": _finite(found.p95_s),
        "answer_p99_s": _finite(found.p99_s),
        "most_waiting": found.most_waiting,
        "longest_backlog_s": found.longest_backlog_s,
    }


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None
