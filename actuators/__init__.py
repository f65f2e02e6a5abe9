"""The dials that Gyropilot turns on the cluster: one file per kind of dial, each behind read and turn."""

from __future__ import annotations

from collections.abc import Mapping

from actuators.patch import ServerDial
from actuators.pool_limit import PoolLimit
from actuators.pool_size import PoolSize
from actuators.protocol import Actuator
from actuators.queue_quota import QueueQuota
from actuators.rehearsal import Rehearsal
from actuators.workload import WorkloadPause
from gyropilot.domain import Dial
from gyropilot.kubernetes.api import Api
from gyropilot.settings import KubernetesSettings


def actuators(api: Api, settings: KubernetesSettings | None = None) -> Mapping[Dial, Actuator]:
    """Every dial, turned for real."""
    return {each.dial: each for each in _dials(api, settings or KubernetesSettings())}


def rehearsals(api: Api, settings: KubernetesSettings | None = None) -> Mapping[Dial, Actuator]:
    """Every dial, read for real and never turned."""
    return {each.dial: Rehearsal(each) for each in _dials(api, settings or KubernetesSettings())}


def _dials(api: Api, settings: KubernetesSettings) -> tuple[ServerDial, ...]:
    return QueueQuota(api), WorkloadPause(api, settings.protect_annotation), PoolSize(api), PoolLimit(api)
