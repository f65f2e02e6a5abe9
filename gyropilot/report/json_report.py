"""A cycle as plain JSON: finite numbers, null where nothing is known, RFC 3339 times."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

from gyropilot.domain import ALL_QUEUES, Cycle, DemandForecast, Effect, Interval, Line, Pool, Queue, Quota
from gyropilot.report import sure
from gyropilot.report.fans import by_size
from gyropilot.report.story import Deed, deeds

Json = dict[str, Any]


def to_json(cycle: Cycle) -> str:
    """One object; ASCII only, so that any terminal and any file takes it."""
    return json.dumps(to_dict(cycle), indent=2, allow_nan=False)


def to_dict(cycle: Cycle) -> Json:
    """The whole cycle in plain lists, objects, strings and finite numbers."""
    told: Json = plain(
        {
            "decided_at": cycle.began_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "state": _state(cycle),
            "forecast": _forecast(cycle),
            "totals": _totals(cycle),
            "trust": sure.to_dict(cycle.forecast),
            "actions": [_action(deed) for deed in deeds(cycle)],
            "summary": cycle.sentence,
        }
    )
    return told


def plain(value: Any) -> Any:
    """NaN and infinity are not numbers in JSON: null."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def _state(cycle: Cycle) -> Json:
    state = cycle.state
    return {
        "queues": [_queue(q) for q in state.queues],
        "pools": [_pool(p) for p in state.pools],
        "workloads": len(state.workloads),
        "freshness_s": {source: age.total_seconds() for source, age in state.freshness.items()},
        "notes": list(state.notes),
    }


def _queue(queue: Queue) -> Json:
    return {
        "name": queue.name,
        "cohort": queue.cohort,
        "active": queue.active,
        "nominal_gpus": queue.nominal_gpus(),
        "running_gpus": sum(queue.running_gpus.values()),
        "running_gpus_by_resource": dict(queue.running_gpus),
        "pending_gpus": sum(queue.pending_gpus.values()),
        "pending_gpus_by_resource": dict(queue.pending_gpus),
        "unplaced_gpus": sum(sum(by_flavor.values()) for by_flavor in queue.unplaced_gpus.values()),
        "guaranteed_gpus": queue.guaranteed_gpus,
        "oldest_wait_s": _seconds(queue.oldest_wait),
        "target_wait_s": _seconds(queue.target_wait),
        "utilisation": queue.utilisation,
        "memory_share": queue.memory_share,
        "watts": queue.watts,
        "weight": queue.weight,
        "priority": queue.priority,
        "quotas": [_quota(q) for q in queue.quotas],
    }


def _quota(quota: Quota) -> Json:
    return {
        "flavor": quota.flavor,
        "resource": quota.accelerator.resource,
        "nominal_gpus": quota.nominal_gpus,
        "used_gpus": quota.used_gpus,
        "borrowing_limit_gpus": quota.borrowing_limit_gpus,
        "lending_limit_gpus": quota.lending_limit_gpus,
        "entitled_gpus": quota.entitled_gpus,
    }


def _pool(pool: Pool) -> Json:
    return {
        "name": pool.name,
        "accelerator": pool.accelerator.model,
        "resource": pool.accelerator.resource,
        "provider": pool.provider,
        "region": pool.region,
        "market": pool.market.value,
        "nodes": pool.nodes,
        "ready_nodes": pool.ready_nodes,
        "gpus_per_node": pool.gpus_per_node,
        "gpus": pool.gpus,
        "idle_gpus": pool.idle_gpus,
        "coming_gpus": pool.coming_gpus,
        "min_nodes": pool.min_nodes,
        "max_nodes": pool.max_nodes,
        "lead_time_s": _seconds(pool.lead_time),
        "price_usd_per_gpu_hour": pool.price_usd_per_gpu_hour,
        "watts_idle_per_gpu": pool.watts_idle_per_gpu,
        "watts_busy_per_gpu": pool.watts_busy_per_gpu,
        "carbon_g_per_kwh": pool.carbon_g_per_kwh,
        "flavors": list(pool.flavors),
        "dial": pool.dial.value if pool.dial else None,
        "dial_value": pool.dial_value,
    }


def _forecast(cycle: Cycle) -> Json:
    forecast = cycle.forecast
    by_queue: dict[str, list[Line]] = {}
    for line in forecast.lines:
        if line.queue != ALL_QUEUES:
            by_queue.setdefault(line.queue, []).append(line)
    return {queue: _queue_forecast(cycle, lines) for queue, lines in by_queue.items()}


def _queue_forecast(cycle: Cycle, lines: list[Line]) -> Json:
    """The table of its largest resource; of each one by name where there are several."""
    forecast = cycle.forecast
    largest = by_size(cycle, lines)[0]
    told = {**_table(forecast, largest), "resource": largest.resource, "forecaster": forecast.forecaster}
    if len(lines) > 1:
        told["by_accelerator"] = {line.resource: forecast.of(line).tolist() for line in lines}
    return told


def _totals(cycle: Cycle) -> Json:
    forecast = cycle.forecast
    return {line.resource: _table(forecast, line) for line in forecast.lines if line.queue == ALL_QUEUES}


def _table(forecast: DemandForecast, line: Line) -> Json:
    return {
        "horizons_s": [h.total_seconds() for h in forecast.horizons],
        "quantiles": list(forecast.quantiles),
        "values": forecast.of(line).tolist(),
    }


def _action(deed: Deed) -> Json:
    action, verdict, outcome = deed.action, deed.verdict, deed.outcome
    return {
        "dial": action.dial.value,
        "target": action.target,
        "subject": action.subject,
        "queue": action.queue,
        "before": action.before,
        "after": action.after,
        "reason": action.reason,
        "expected": _effect(action.expected),
        "verdict": str(verdict),
        "objections": [o.sentence for o in verdict.objections],
        "rules": [o.rule for o in verdict.objections],
        "diff": (outcome.diff or None) if outcome else None,
        "outcome": outcome.sentence if outcome else None,
    }


def _effect(effect: Effect) -> Json:
    return {
        "usd": _interval(effect.usd),
        "waiting_gpu_hours": _interval(effect.waiting_gpu_hours),
        "kwh": _interval(effect.kwh),
        "kg_co2": _interval(effect.kg_co2),
        "lost_gpu_hours": effect.lost_gpu_hours,
        "over_h": effect.over / timedelta(hours=1),
    }


def _interval(interval: Interval) -> Json:
    return {"low": interval.low, "mid": interval.mid, "high": interval.high}


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
