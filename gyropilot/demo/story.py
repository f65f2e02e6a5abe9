"""The demo's cluster: four teams in two cohorts, three pools, a fortnight of jobs, and a morning about to get busy.

The fortnight ends on a Thursday at half past seven. Research has filled the reserved nodes overnight with a sweep, on
quota that it borrows from language; language begins runs for which nothing is free; the spot pool is full. Among the
products, vision's quota lies idle while serving has waited since yesterday for more than it may borrow. Whatever the
clock says when it is shown, the story is the same: the calendar of the demo is tied to its `now`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from envs.replay import Share, Shares
from envs.workloads import DAY_S, Profile, Rhythm, ServiceProfile, TrainingProfile
from gyropilot.domain import Market, WorkloadKind

DEMO_NOW = datetime(2026, 3, 5, 7, 30, tzinfo=UTC)
"""A Thursday: the moment at which the demo's hours of the day are as its story says."""

HISTORY = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class DemoPool:
    """One Karpenter NodePool, and the Kueue flavor of its nodes."""

    name: str
    model: str  # as the node's label says
    instance_type: str
    market: Market
    nodes: int
    max_nodes: int
    static: bool  # holds `nodes` replicas; else it grows with pending pods up to `max_nodes`
    provider: str
    region: str
    watts_busy: float  # per GPU alone, as DCGM measures
    gpus_per_node: int = 8

    @property
    def gpus(self) -> int:
        return self.nodes * self.gpus_per_node


A100 = DemoPool(
    name="a100-reserved",
    model="NVIDIA-A100-SXM4-80GB",
    instance_type="p4de.24xlarge",
    market=Market.RESERVED,
    nodes=6,
    max_nodes=6,
    static=True,
    provider="aws",
    region="eu-central-1",
    watts_busy=330.0,
)
H100 = DemoPool(
    name="h100-on-demand",
    model="NVIDIA-H100-80GB-HBM3",
    instance_type="p5.48xlarge",
    market=Market.ON_DEMAND,
    nodes=6,
    max_nodes=12,
    static=True,
    provider="aws",
    region="eu-central-1",
    watts_busy=560.0,
)
SPOT = DemoPool(
    name="h100-spot",
    model="NVIDIA-H100-80GB-HBM3",
    instance_type="p5.48xlarge",
    market=Market.SPOT,
    nodes=4,
    max_nodes=4,
    static=False,
    provider="aws",
    region="eu-north-1",
    watts_busy=560.0,
)
POOLS = (A100, H100, SPOT)

GPU = "nvidia.com/gpu"
COHORTS = {"research": "labs", "language": "labs", "vision": "products", "serving": "products"}
SHARES: Shares = {
    "research": {SPOT.name: Share(40), A100.name: Share(16), H100.name: Share(8, borrowing_limit=0)},
    "language": {H100.name: Share(24), A100.name: Share(24)},
    "vision": {A100.name: Share(24), SPOT.name: Share(8), H100.name: Share(16, lending_limit=8)},
    "serving": {H100.name: Share(20, borrowing_limit=2)},
}

PROFILE: Profile = (
    TrainingProfile(
        "research",
        submissions_per_day=75,
        rhythm=Rhythm(peak_hour=14.0, swing=0.85, weekend_share=0.35),
        gang_mix=((1, 0.45), (2, 0.2), (4, 0.2), (8, 0.15)),
        median_s=3_600.0,
        growth=0.35,
        sigma=1.0,
        longest_s=DAY_S / 2,
        users=30,
        recurrence=0.5,
        sweep_jobs=8.0,
    ),
    TrainingProfile(
        "vision",
        submissions_per_day=80,
        rhythm=Rhythm(peak_hour=13.0, swing=0.95, weekend_share=0.15),
        gang_mix=((1, 0.4), (2, 0.2), (4, 0.25), (8, 0.15)),
        median_s=3_000.0,
        growth=0.3,
        sigma=0.9,
        longest_s=DAY_S / 4,
        users=20,
        recurrence=0.5,
        sweep_jobs=8.0,
        kind=WorkloadKind.FINE_TUNING,
    ),
    TrainingProfile(
        "language",
        submissions_per_day=18,
        rhythm=Rhythm(peak_hour=12.0, swing=0.9, weekend_share=0.25),
        gang_mix=((4, 0.3), (8, 0.5), (16, 0.2)),
        median_s=3_600.0,
        growth=0.3,
        sigma=0.9,
        longest_s=DAY_S / 3,
        users=15,
        recurrence=0.5,
        sweep_share=0.0,
        priority=10,
    ),
    ServiceProfile("serving", replicas=11.0, gpus_per_replica=2, rhythm=Rhythm(peak_hour=14.5, swing=0.45)),
)


@dataclass(frozen=True, slots=True)
class Told:
    """Equal jobs that the story tells of."""

    queue: str
    ago: timedelta  # submitted, before now
    lasts: timedelta
    gpus: int
    jobs: int
    kind: WorkloadKind = WorkloadKind.TRAINING
    priority: int = 0
    checkpoint: timedelta | None = timedelta(minutes=30)


LAST_NIGHT = (
    Told("research", timedelta(hours=9, minutes=40), timedelta(hours=20), 4, 18, WorkloadKind.SWEEP),
    Told("research", timedelta(hours=2, minutes=5), timedelta(hours=9), 2, 7, WorkloadKind.SWEEP),
    Told("language", timedelta(minutes=32), timedelta(hours=14), 16, 2, priority=10),
    Told("language", timedelta(minutes=18), timedelta(hours=6), 8, 3, priority=10),
)

EARLIER_NIGHTS = tuple(
    Told("research", timedelta(days=days, hours=9, minutes=40), timedelta(hours=8), 4, 10, WorkloadKind.SWEEP)
    for days in range(1, HISTORY.days)
    if (DEMO_NOW - timedelta(days=days, hours=10)).weekday() < 5
)
