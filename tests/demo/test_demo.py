"""The demo as a whole: real readers, the real loop, and what the story promises."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gyropilot.demo import DEMO_NOW, Demo, serve
from gyropilot.domain import Dial, Line
from gyropilot.kubernetes.api import Api
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.observe import Observer
from gyropilot.prometheus.reader import PrometheusReader
from tests.command import gyropilot

GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with serve() as demo:
        yield demo


@dataclass(frozen=True)
class Shown:
    """What `gyropilot demo` did in an empty folder."""

    folder: Path
    took_s: float
    said: str  # on stderr
    answered: str  # on stdout

    @property
    def actions(self) -> list[dict[str, Any]]:
        return list(json.loads(self.answered)["actions"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("empty")
    began = time.monotonic()
    done = gyropilot("demo", "--out", "new/folder", "--format", "json", folder=folder)
    assert done.returncode == 0, done.stderr
    return Shown(folder, time.monotonic() - began, done.stderr, done.stdout)


def test_the_readers_miss_nothing_and_both_tell_the_same(demo: Demo) -> None:
    metrics = PrometheusReader(demo.settings.prometheus).read
    inventory = KubernetesReader(Api.connect(demo.settings.kubernetes), demo.settings).read

    state = Observer(metrics, inventory, demo.settings)(demo.now)

    assert state.notes == ()
    assert metrics(demo.now).newest == {
        Line(q.name, GPU): (q.running_gpus.get(GPU, 0.0), q.pending_gpus.get(GPU, 0.0))
        for q in inventory(demo.now).queues
    }
    assert {p.name: p.idle_gpus for p in state.pools} == metrics(demo.now).pool_idle_gpus


def test_four_queues_three_pools_and_a_fortnight_are_seen(demo: Demo) -> None:
    metrics = PrometheusReader(demo.settings.prometheus).read(demo.now)

    assert len(metrics.history.lines) == 4
    assert len(metrics.pool_gpus) == 3
    assert metrics.history.demand.shape == (4, 14 * 288)
    assert not (metrics.history.demand != metrics.history.demand).any()
    assert metrics.age == timedelta(seconds=12)
    assert set(metrics.utilisation) == set(metrics.watts) == {"research", "vision", "language", "serving"}


def test_is_seen_at_any_moment_that_is_asked_for() -> None:
    now = DEMO_NOW + timedelta(days=111, minutes=3, seconds=21)

    with serve(now, seed=3) as demo:
        metrics = PrometheusReader(demo.settings.prometheus).read(demo.now)

    assert metrics.age == timedelta(seconds=12)
    assert metrics.notes == ()


def test_nothing_of_it_remains() -> None:
    before = threading.active_count()

    with serve() as demo:
        folder = demo.kubeconfig.parent
        assert demo.kubeconfig.is_file()

    assert not folder.exists()
    assert threading.active_count() == before


def test_the_command_writes_its_files_says_where_and_leaves_nothing_else(shown: Shown) -> None:
    written = sorted(path for path in shown.folder.rglob("*") if path.is_file())

    assert [path.name for path in written] == ["demand.svg", "plan.json", "report.html"]
    assert all(f"written to {path}" in shown.said for path in written)
    assert (shown.folder / "new" / "folder" / "plan.json").read_text() == shown.answered
    assert (shown.folder / "new" / "folder" / "report.html").stat().st_size < 1_500_000
    assert shown.took_s < 60


def test_every_dial_is_in_the_plan_and_some_of_it_is_held_back(shown: Shown) -> None:
    verdicts = [action["verdict"] for action in shown.actions]

    assert {action["dial"] for action in shown.actions} == set(Dial)
    assert verdicts.count("held back") >= 1
    assert verdicts.count("approved") >= 4


def test_the_api_server_would_take_all_that_is_approved(shown: Shown) -> None:
    approved = [action for action in shown.actions if action["verdict"] == "approved"]

    assert {action["outcome"] for action in approved} == {"the API server would take it"}
    assert all("→" in action["diff"] for action in approved)


def test_what_its_owner_protects_is_not_paused_though_it_would_lose_least(demo: Demo, shown: Shown) -> None:
    workloads = KubernetesReader(Api.connect(demo.settings.kubernetes), demo.settings).read(demo.now).workloads
    (spared,) = (w for w in workloads if w.protected == "its results are due on Friday")
    paused = [action["target"] for action in shown.actions if action["dial"] == Dial.WORKLOAD]

    assert spared.queue == "research"
    assert paused
    assert spared.dial_target not in paused
    assert all(spared.at_risk(demo.now) <= w.at_risk(demo.now) for w in workloads if w.dial_target in paused)
