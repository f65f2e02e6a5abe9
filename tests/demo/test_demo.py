"""The demo as a whole: real readers, the real loop, and what the story promises."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from gyropilot.demo import DEMO_NOW, Demo, serve
from gyropilot.domain import Cycle, Dial, Line, OutcomeStatus
from gyropilot.kubernetes.api import Api
from gyropilot.kubernetes.reader import KubernetesReader
from gyropilot.observe import Observer
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.wiring import autopilot

GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with serve() as demo:
        yield demo


@pytest.fixture(scope="module")
def cycle(demo: Demo) -> Cycle:
    pilot, _ = autopilot(demo.settings, "plan")
    return pilot.plan(demo.now)


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


def test_every_dial_is_in_the_plan_and_some_of_it_is_held_back(cycle: Cycle) -> None:
    assert {verdict.action.dial for verdict in cycle.verdicts} == set(Dial)
    assert any(not verdict.approved for verdict in cycle.verdicts)
    assert sum(verdict.approved for verdict in cycle.verdicts) >= 4


def test_the_api_server_would_take_all_that_is_approved(cycle: Cycle) -> None:
    assert {outcome.status for outcome in cycle.outcomes} == {OutcomeStatus.REHEARSED}
    assert all("→" in outcome.diff for outcome in cycle.outcomes)


def test_what_its_owner_protects_is_not_paused_though_it_would_lose_least(demo: Demo, cycle: Cycle) -> None:
    (spared,) = (w for w in cycle.state.workloads if w.protected == "its results are due on Friday")
    paused = [v.action.target for v in cycle.verdicts if v.action.dial is Dial.WORKLOAD]

    assert spared.queue == "research"
    assert paused
    assert spared.dial_target not in paused
    assert all(
        spared.at_risk(demo.now) <= w.at_risk(demo.now) for w in cycle.state.workloads if w.dial_target in paused
    )
