"""A small simulated cluster, served to the same readers as a real one: no cluster, no Prometheus, no account."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gyropilot.demo.cluster import objects
from gyropilot.demo.kubernetes_stand_in import KubernetesStandIn, kubeconfig
from gyropilot.demo.loopback import served
from gyropilot.demo.prometheus_stand_in import PrometheusStandIn
from gyropilot.demo.series import vectors
from gyropilot.demo.story import A100, DEMO_NOW, H100, HISTORY, SPOT
from gyropilot.demo.world import World, demo_world
from gyropilot.prometheus.queries import Queries
from gyropilot.settings import (
    GuardrailSettings,
    JournalSettings,
    KubernetesSettings,
    PoolSettings,
    PrometheusSettings,
    QueueSettings,
    Settings,
)

__all__ = ["DEMO_NOW", "DEMO_SEED", "Demo", "serve"]

DEMO_SEED = 7


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo's cluster is served, and what an operator would have told of it."""

    now: datetime  # at which it is to be observed
    prometheus_url: str
    kubeconfig: Path
    settings: Settings
    world: World


@contextmanager
def serve(now: datetime = DEMO_NOW, seed: int = DEMO_SEED) -> Iterator[Demo]:
    """The demo's cluster on free ports of 127.0.0.1 until the block ends; nothing of it remains."""
    world = demo_world(now, seed)
    prometheus = PrometheusStandIn(vectors(world, Queries({})), now.timestamp())
    with (
        tempfile.TemporaryDirectory(prefix="gyropilot-demo-") as folder,
        served(prometheus) as prometheus_url,
        served(KubernetesStandIn(objects(world))) as kubernetes_url,
    ):
        config = kubeconfig(kubernetes_url, Path(folder))
        yield Demo(now, prometheus_url, config, _settings(prometheus_url, config, Path(folder)), world)


def _settings(prometheus_url: str, config: Path, folder: Path) -> Settings:
    return Settings(
        prometheus=PrometheusSettings(url=prometheus_url, history=HISTORY),
        kubernetes=KubernetesSettings(kubeconfig=config),
        guardrails=GuardrailSettings(max_lost_gpu_hours=1.0),
        journal=JournalSettings(url=f"sqlite:///{folder / 'journal.db'}"),
        pools=POOL_SETTINGS,
        queues=QUEUE_SETTINGS,
    )


POOL_SETTINGS = {
    A100.name: PoolSettings(
        min_nodes=A100.nodes,
        max_nodes=A100.max_nodes,
        lead_time=timedelta(minutes=15),
        price_usd_per_gpu_hour=1.45,
        watts_idle_per_gpu=90.0,
        watts_busy_per_gpu=480.0,
        carbon_g_per_kwh=345.0,
    ),
    H100.name: PoolSettings(
        min_nodes=4,
        max_nodes=H100.max_nodes,
        lead_time=timedelta(minutes=12),
        price_usd_per_gpu_hour=3.9,
        watts_idle_per_gpu=110.0,
        watts_busy_per_gpu=900.0,
        carbon_g_per_kwh=345.0,
    ),
    SPOT.name: PoolSettings(
        min_nodes=0,
        max_nodes=6,
        lead_time=timedelta(minutes=7),
        price_usd_per_gpu_hour=1.7,
        watts_idle_per_gpu=110.0,
        watts_busy_per_gpu=900.0,
        carbon_g_per_kwh=25.0,
    ),
}
"""Of the order of 2025 prices; grams of Germany's and northern Sweden's grids."""

QUEUE_SETTINGS = {
    "research": QueueSettings(weight=1.0, target_wait=timedelta(hours=1), waiting_usd_per_gpu_hour=6.0),
    "vision": QueueSettings(weight=1.0, target_wait=timedelta(minutes=20), waiting_usd_per_gpu_hour=9.0),
    "language": QueueSettings(weight=2.0, target_wait=timedelta(minutes=10), waiting_usd_per_gpu_hour=16.0),
    "serving": QueueSettings(
        weight=4.0, target_wait=timedelta(minutes=2), waiting_usd_per_gpu_hour=60.0, protected=True
    ),
}
