"""What Prometheus told in one reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from gyropilot.domain import DemandHistory, Line


@dataclass(frozen=True, eq=False)
class Metrics:
    """One reading of Prometheus. A key that is absent was not seen; zero is a number."""

    history: DemandHistory  # per queue and resource; ends at the newest grid point before `now`
    newest: Mapping[Line, tuple[float, float]]  # running, pending GPUs by an instant query at `now`
    age: timedelta  # of the newest demand sample, measured by Prometheus itself
    source: str  # "kueue" or "pods": which metrics demand was read from
    suspended_seen: bool = True  # False: jobs that Kueue keeps suspended, which have no pods, are not in it
    quota_gpus: Mapping[Line, float] = field(default_factory=dict)  # nominal, summed over flavors
    cohorts: Mapping[str, str] = field(default_factory=dict)  # queue -> its cohort, of queues that are in one
    pool_gpus: Mapping[str, float] = field(default_factory=dict)  # pool -> allocatable GPUs
    pool_idle_gpus: Mapping[str, float] = field(default_factory=dict)
    pool_nodes: Mapping[str, float] = field(default_factory=dict)  # ready ones
    utilisation: Mapping[str, float] = field(default_factory=dict)  # queue -> 0..1
    memory_share: Mapping[str, float] = field(default_factory=dict)  # queue -> 0..1
    watts: Mapping[str, float] = field(default_factory=dict)  # queue -> W of its GPUs
    inference_waiting: Mapping[str, float] = field(default_factory=dict)  # model -> requests that wait
    notes: tuple[str, ...] = ()  # fallbacks and things not seen, one sentence each
