"""A realistic cycle, as a cluster of six teams and three pools would give it, and its poorer relatives."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from gyropilot.domain import (
    ALL_QUEUES,
    Accelerator,
    Action,
    Cycle,
    DemandForecast,
    DemandHistory,
    Dial,
    Effect,
    Floats,
    Intent,
    Interval,
    Line,
    Market,
    Objection,
    Outcome,
    OutcomeStatus,
    Queue,
    Quota,
    Verdict,
)
from tests.fakes import GPU, H100, NOW, action, forecast, pool, queue, state

HORIZONS = tuple(timedelta(minutes=m) for m in (5, 10, 20, 30, 60, 120, 180, 240, 360, 480, 720, 960, 1200, 1440))
QUANTILES = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99)
_SCORES = np.array([-1.96, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 1.64, 1.96, 2.33])

A100 = Accelerator(GPU, "NVIDIA-A100-SXM4-80GB")
TEAMS = {  # mean demand, daily swing, noise, quota
    "pretraining": (64.0, 0.05, 3.0, 64),
    "inference-prod": (34.0, 0.45, 2.0, 48),
    "post-training": (26.0, 0.35, 4.0, 24),
    "vision-research": (18.0, 0.6, 3.0, 16),
    "ads-ranking": (11.0, 0.5, 2.0, 24),
    "sandbox": (5.0, 0.8, 1.5, 8),
}


def daily(hours: Floats, mean: float, swing: float) -> Floats:
    """A working day that peaks in the afternoon; `hours` count from noon, NOW."""
    return mean * (1 + swing * np.cos((hours - 3) / 24 * 2 * np.pi))


def past(days: int = 14) -> DemandHistory:
    """Demand of each team every five minutes; what exceeds its quota waits; ninety minutes were not seen."""
    rng = np.random.default_rng(7)
    hours = np.arange(-days * 288 + 1, 1) / 12
    running, pending = [], []
    for mean, swing, noise, quota in TEAMS.values():
        drift = np.convolve(rng.normal(0, noise, len(hours) + 23), np.ones(24) / 5, mode="valid")
        demand = np.clip(np.round(daily(hours, mean, swing) + drift), 0, None)
        running.append(np.minimum(demand, quota))
        pending.append(demand - running[-1])
    rows, waits = np.array(running), np.array(pending)
    rows[:, -330:-312] = np.nan
    times = int(NOW.timestamp()) + (hours * 3600).astype(np.int64)
    return DemandHistory(tuple(Line(name, GPU) for name in TEAMS), times, rows, waits)


def future(history: DemandHistory) -> DemandForecast:
    """The working day goes on from what was seen last, less surely with every hour."""
    ahead = np.array([h / timedelta(hours=1) for h in HORIZONS])
    tables = []
    for row, (mean, swing, noise, _) in zip(history.demand, TEAMS.values(), strict=True):
        bias = (row[-1] - daily(np.zeros(1), mean, swing)[0]) * np.exp(-ahead / 4)
        tables.append(_fan(daily(ahead, mean, swing) + bias, 0.5 + noise * np.sqrt(np.minimum(ahead, 9)) * 0.9))
    middle = np.sum([t[:, 5] for t in tables], axis=0)
    tables.append(_fan(middle, 2 + 5.5 * np.sqrt(np.minimum(ahead, 9))))
    return DemandForecast(
        NOW, (*history.lines, Line(ALL_QUEUES, GPU)), HORIZONS, QUANTILES, np.array(tables), "auto (lightgbm, ets)"
    )


def _fan(middle: Floats, spread: Floats) -> Floats:
    fan: Floats = np.maximum(0.0, middle[:, None] + spread[:, None] * _SCORES[None, :])
    return fan


def effect(usd: float, waiting: float, kwh: float, lost: float = 0.0) -> Effect:
    """Intervals of about a third around the middles."""

    def around(mid: float) -> Interval:
        return Interval.of((mid * 0.7, mid, mid * 1.35))

    return Effect(around(usd), around(waiting), around(kwh), around(kwh * 0.3), lost)


def queues(history: DemandHistory) -> tuple[Queue, ...]:
    return tuple(
        queue(
            name,
            quota,
            running=float(history.running[i, -1]),
            pending=float(history.pending[i, -1]),
            utilisation=0.93 - 0.11 * i,
            oldest_wait=timedelta(minutes=14 + 9 * i) if history.pending[i, -1] else None,
        )
        for i, (name, (_, _, _, quota)) in enumerate(TEAMS.items())
    )


def turn_pool(name: str, before: int, after: int, reason: str, expected: Effect) -> Action:
    return action(
        Dial.POOL_SIZE,
        before,
        after,
        target=f"nodepools.karpenter.sh/{name}",
        subject=name,
        reason=reason,
        expected=expected,
    )


def turn_quota(name: str, before: int, after: int, reason: str, expected: Effect) -> Action:
    return action(
        Dial.QUEUE_QUOTA,
        before,
        after,
        target=f"{name}/h100/{GPU}",
        subject=name,
        queue=name,
        reason=reason,
        expected=expected,
    )


def pause(name: str, queue_name: str, gpus: int, reason: str, expected: Effect) -> Action:
    return action(
        Dial.WORKLOAD,
        1,
        0,
        target=f"{queue_name}/{name}",
        subject=f"{queue_name}/{name}",
        queue=queue_name,
        namespace=queue_name,
        reason=reason,
        expected=expected,
        gpus=-gpus,
    )


APPROVED = (
    turn_pool(
        "h100-reserved",
        14,
        16,
        "90 % of futures need up to 214 GPUs by 15:00, 200 are ready; waiting costs more than two idle nodes",
        effect(768.0, -141.0, 232.0),
    ),
    turn_pool(
        "a100-ondemand",
        8,
        6,
        "16 of 64 GPUs have been idle since 06:00 and even the 97.5 % quantile does not need them before midnight",
        effect(-1180.0, 6.0, -287.0),
    ),
    turn_quota(
        "ads-ranking",
        24,
        18,
        "uses 13 of 24 GPUs and is not expected to need more than 18 today",
        effect(0.0, 2.0, 0.0),
    ),
    turn_quota(
        "post-training", 24, 30, "9 GPUs wait, the oldest for 32 min; ads-ranking can lend", effect(0.0, -58.0, 21.0)
    ),
    pause(
        "sweep-lr-0017",
        "sandbox",
        4,
        "borrows 4 GPUs that vision-research is owed; its last checkpoint is 3 min old",
        effect(0.0, -11.0, 0.0, lost=0.4),
    ),
)
HELD = (
    (
        turn_pool(
            "h100-spot",
            4,
            9,
            "spot is 62 % cheaper than on demand until 20:00 and 40 GPUs could be filled from the sweep backlog",
            effect(-410.0, -96.0, 180.0),
        ),
        (
            Objection("step-cap", "5 nodes at once are 125 % of the pool's 4; at most 25 % or one node per action"),
            Objection("cooldown", "h100-spot was turned 6 min ago; 10 min must pass so that the effect is seen first"),
        ),
    ),
    (
        turn_quota(
            "vision-research", 16, 7, "demand is forecast to fall to 7 GPUs by 22:00", effect(-140.0, 19.0, -60.0)
        ),
        (Objection("floors", "vision-research would drop to 7 GPUs, guaranteed 8"),),
    ),
    (
        pause(
            "eval-nightly", "post-training", 8, "8 GPUs are owed to inference-prod", effect(0.0, -24.0, 0.0, lost=31.0)
        ),
        (Objection("protected", "eval-nightly is protected: release gate of the quarterly model"),),
    ),
)
DIFFS = (
    "spec.replicas: 14 → 16",
    "spec.replicas: 8 → 6",
    "spec.resourceGroups[0].flavors[0].resources[0].nominalQuota: 24 → 18",
    "spec.resourceGroups[0].flavors[0].resources[0].nominalQuota: 24 → 30",
    "spec.active: true → false",
)
NOTES = (
    "pool a100-ondemand: no price found; 3.67 USD per GPU-hour assumed (pool_defaults.price_usd_per_gpu_hour)",
    "demand was not seen from 08:30 to 10:00 yesterday; the forecast bridges it",
    "queue sandbox: no target wait told; 10 min assumed",
)


def cycle(mode: str = "plan") -> Cycle:
    """Eight wishes, three held back; the API server was asked about the other five."""
    history = past()
    reserved = pool("h100-reserved", nodes=14, ready_nodes=14, idle_gpus=6, max_nodes=20, dial_value=14)
    spot = pool("h100-spot", nodes=4, ready_nodes=3, idle_gpus=2, max_nodes=12, dial_value=4, market=Market.SPOT)
    a100 = pool("a100-ondemand", nodes=8, ready_nodes=8, idle_gpus=16, max_nodes=12, dial_value=8, provider="gcp")
    pools = (replace(reserved, market=Market.RESERVED), spot, replace(a100, accelerator=A100, region="europe-west4"))
    seen = state(pools, queues(history), history=history, notes=NOTES)
    status = OutcomeStatus.DONE if mode == "act" else OutcomeStatus.REHEARSED
    answer = "turned" if mode == "act" else "the API server would take it"
    return Cycle(
        began_at=NOW,
        state=seen,
        forecast=future(history),
        intent=Intent("newsvendor"),
        verdicts=(*(Verdict(a) for a in APPROVED), *(Verdict(a, objections) for a, objections in HELD)),
        outcomes=tuple(Outcome(a, status, answer, diff) for a, diff in zip(APPROVED, DIFFS, strict=True)),
        mode=mode,
    )


def empty() -> Cycle:
    """Nothing was found and nothing is wanted."""
    nothing = DemandForecast(NOW, (), HORIZONS, QUANTILES, np.empty((0, len(HORIZONS), len(QUANTILES))))
    return Cycle(NOW, replace(state(), freshness={}), nothing, Intent("hold"), ())


def unseen() -> Cycle:
    """Queues and pools exist, and every reading and every figure is NaN."""
    real = cycle()
    history = past()
    blank = DemandHistory(history.lines, history.times, history.running * np.nan, history.pending * np.nan)
    nan = Interval(float("nan"), float("nan"), float("nan"))
    lost = replace(APPROVED[0], expected=Effect(nan, nan, nan, nan, float("nan")))
    return replace(
        real,
        state=replace(real.state, history=blank, pools=(pool(idle_gpus=float("nan")),)),
        forecast=replace(real.forecast, gpus=real.forecast.gpus * np.nan),
        verdicts=(Verdict(lost),),
        outcomes=(),
    )


def crowded(many: int = 200) -> Cycle:
    """As many queues as a large company has, each with two weeks of history."""
    real = cycle()
    history = past()
    lines = tuple(Line(f"team-{n:03d}", GPU) for n in range(many))
    rows = [n % len(TEAMS) for n in range(many)]
    many_queues = tuple(queue(line.queue, 8 + n, running=float(n % 70)) for n, line in enumerate(lines))
    crowd = DemandHistory(lines, history.times, history.running[rows], history.pending[rows])
    tables = np.concatenate([real.forecast.gpus[rows], real.forecast.gpus[-1:]])
    wide = replace(real.forecast, lines=(*lines, Line(ALL_QUEUES, GPU)), gpus=tables)
    verdict_crowd = tuple(
        Verdict(turn_quota(q.name, 16, 15, "uses less than it has", effect(-3.0, 1.0, 0.0))) for q in many_queues
    )
    return replace(
        real,
        state=replace(real.state, queues=many_queues, history=crowd),
        forecast=wide,
        verdicts=(*real.verdicts, *verdict_crowd),
    )


def of_two_flavors() -> Cycle:
    """A wish for one of a queue's two flavors, and one for the only flavor of another queue."""
    flavors = ("h100-reserved", "h100-on-demand")
    quotas = tuple(Quota(f, H100, 16, dial_target=f"vision/{f}/{GPU}") for f in flavors)
    vision = turn_quota("vision", 16, 13, "uses 9 of 32 GPUs", effect(0.0, 2.0, 0.0))
    audio = turn_quota("audio", 8, 7, "uses 2 of 8 GPUs", effect(0.0, 1.0, 0.0))
    seen = state((pool(),), (replace(queue("vision"), quotas=quotas), queue("audio", 8)))
    wishes = (replace(vision, target=quotas[1].dial_target), audio)
    return Cycle(NOW, seen, forecast({"vision": 6.0}, spread=0.5), Intent("newsvendor"), tuple(map(Verdict, wishes)))


def named(name: str, reason: str = "") -> Cycle:
    """Every text that the cluster chooses is `name`, every sentence `reason`."""
    said = reason or name
    wish = replace(APPROVED[0], subject=name, target=name, queue=name, reason=said)
    held = Verdict(replace(wish, before=1), (Objection(name, said),))
    seen = state(
        (pool(name, provider=name, region=name, dial_target=name),),
        (queue(name, running=4.0, pending=2.0, cohort=name),),
        notes=(said,),
        freshness={name: timedelta(seconds=5)},
    )
    outcome = Outcome(wish, OutcomeStatus.REHEARSED, said, f"{name}: 1 → 2")
    return Cycle(NOW, seen, forecast({name: 6.0}, spread=0.5), Intent(name), (Verdict(wish), held), (outcome,), name)
