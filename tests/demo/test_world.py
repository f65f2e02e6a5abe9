"""What the demo's nodes, queues, workloads, pods and series tell must be the same."""

from collections import Counter
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from gyropilot.demo import DEMO_NOW, DEMO_SEED
from gyropilot.demo.cluster import objects
from gyropilot.demo.gangs import gangs
from gyropilot.demo.kinds import CLUSTER_QUEUE, NODE, POD, WORKLOAD
from gyropilot.demo.kubernetes_stand_in import Kind
from gyropilot.demo.series import vectors
from gyropilot.demo.story import GPU, POOLS, SHARES
from gyropilot.demo.world import demo_world
from gyropilot.prometheus.queries import Queries
from gyropilot.prometheus.reader import LOOK_BACK_S

Q = Queries({})
SEEDS = [DEMO_SEED, 1, 2, 3]


@cache
def told(seed: int = DEMO_SEED) -> dict[Kind, list[dict[str, Any]]]:
    return objects(demo_world(DEMO_NOW, seed))


@cache
def measured(query: str, seed: int = DEMO_SEED, label: str = "cluster_queue") -> Counter[str]:
    """At `now`, summed by one label."""
    vector = vectors(demo_world(DEMO_NOW, seed), Q)[query]
    values = vector.at(np.array([DEMO_NOW.timestamp()]))[:, 0]
    total: Counter[str] = Counter()
    for labels, value in zip(vector.labels, values.tolist(), strict=True):
        total[labels[label]] += value
    return total


def gpus(thing: dict[str, Any]) -> int:
    return sum(int(c["resources"]["requests"][GPU]) for c in thing["spec"]["containers"])


def live(seed: int) -> list[dict[str, Any]]:
    done = {"type": "Finished", "status": "True"}.items()
    return [w for w in told(seed)[WORKLOAD] if not any(done <= c.items() for c in w["status"]["conditions"])]


@pytest.mark.parametrize("seed", SEEDS)
def test_running_gpus_are_the_same_in_series_workloads_pods_and_queues(seed: int) -> None:
    admitted: Counter[str] = Counter()
    for workload in live(seed):
        for assigned in workload["status"].get("admission", {}).get("podSetAssignments", []):
            admitted[workload["spec"]["queueName"]] += int(assigned["resourceUsage"][GPU])
    in_pods: Counter[str] = Counter()
    for pod in told(seed)[POD]:
        in_pods[pod["metadata"]["namespace"]] += gpus(pod)
    in_queues = {
        q["metadata"]["name"]: sum(int(f["resources"][0]["total"]) for f in q["status"]["flavorsUsage"])
        for q in told(seed)[CLUSTER_QUEUE]
    }

    assert admitted == in_pods == +Counter(in_queues) == measured(Q.kueue_running_gpus(), seed)
    assert in_pods == measured(Q.pod_running_gpus(), seed, "queue")


@pytest.mark.parametrize("seed", SEEDS)
def test_pending_gpus_are_the_same_in_series_and_workloads(seed: int) -> None:
    waiting: Counter[str] = Counter()
    for workload in live(seed):
        for request in workload["status"].get("resourceRequests", []):
            waiting[workload["spec"]["queueName"]] += int(request["resources"][GPU])

    assert waiting == +measured(Q.kueue_pending_gpus(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_hold_their_pods_and_idle_gpus_are_what_is_left(seed: int) -> None:
    free = {n["metadata"]["name"]: int(n["status"]["allocatable"][GPU]) for n in told(seed)[NODE]}
    for pod in told(seed)[POD]:
        free[pod["spec"]["nodeName"]] -= gpus(pod)

    by_pool: Counter[str] = Counter()
    for node in told(seed)[NODE]:
        by_pool[node["metadata"]["labels"]["karpenter.sh/nodepool"]] += free[node["metadata"]["name"]]
    assert min(free.values()) >= 0
    assert by_pool == measured(Q.pool_idle_gpus(), seed, "pool")


def test_capacity_and_quota_series_are_those_of_the_objects() -> None:
    assert measured(Q.pool_gpus(), label="pool") == {p.name: p.gpus for p in POOLS}
    assert measured(Q.pool_nodes(), label="pool") == {p.name: p.nodes for p in POOLS}
    assert measured(Q.kueue_quota_gpus()) == {q: sum(s.nominal for s in by.values()) for q, by in SHARES.items()}


def test_cohorts_are_those_of_the_objects() -> None:
    world = demo_world(DEMO_NOW, DEMO_SEED)
    told = vectors(world, Q)[Q.kueue_cohorts(LOOK_BACK_S)].labels

    objects_say = {q["metadata"]["name"]: q["spec"]["cohortName"] for q in objects(world)[CLUSTER_QUEUE]}
    assert {series["cluster_queue"]: series["cohort"] for series in told} == objects_say


def test_names_are_unique_and_the_same_for_the_same_seed() -> None:
    first, second = (objects(demo_world(DEMO_NOW, DEMO_SEED)) for _ in range(2))

    assert first == second
    for kind, things in first.items():
        names = [(t["metadata"].get("namespace"), t["metadata"]["name"]) for t in things]
        assert len(set(names)) == len(names), kind


def test_the_story_is_the_same_whenever_it_is_told() -> None:
    later = demo_world(DEMO_NOW + timedelta(days=200, hours=5), DEMO_SEED)

    names = {(gang.name, gang.nodes) for gang in gangs(later)}

    assert names == {(gang.name, gang.nodes) for gang in gangs(demo_world(DEMO_NOW, DEMO_SEED))}


def test_another_seed_is_another_fortnight() -> None:
    assert told(1)[WORKLOAD] != told(2)[WORKLOAD]


def test_language_waits_while_research_borrows_vision_idles_and_spot_is_full() -> None:
    running, pending = measured(Q.kueue_running_gpus()), measured(Q.kueue_pending_gpus())
    quota, idle = measured(Q.kueue_quota_gpus()), measured(Q.pool_idle_gpus(), label="pool")

    assert pending["language"] >= 32
    assert running["language"] <= quota["language"] - 16
    assert running["research"] >= quota["research"] + 16
    assert running["vision"] + pending["vision"] <= quota["vision"] - 16
    assert idle["h100-spot"] <= 2


def test_history_has_days_and_weekends() -> None:
    world = demo_world(DEMO_NOW, DEMO_SEED)
    hours_s = world.began.timestamp() + np.arange(0, 14 * 86_400, 3600.0)

    running = vectors(world, Q)[Q.kueue_running_gpus()].at(hours_s).sum(axis=0).reshape(14, 24)

    weekend = [day for day in range(14) if (world.began + timedelta(days=day)).weekday() in (5, 6)]
    weekdays = [day for day in range(14) if day not in {*weekend, 0, 13}]
    assert running[weekdays].mean() > 1.3 * running[weekend].mean()
    assert running[weekdays, 5:9].mean() > 1.5 * running[weekdays, 22:24].mean()  # from half past seven on


def test_there_is_nothing_before_the_fortnight_nor_long_after_now() -> None:
    vector = vectors(demo_world(DEMO_NOW, DEMO_SEED), Q)[Q.kueue_pending_gpus()]
    now_s = DEMO_NOW.timestamp()

    values = vector.at(np.array([now_s - 15 * 86_400, now_s, now_s + 200, now_s + 400]))

    assert np.isnan(values[:, [0, 3]]).all()
    np.testing.assert_array_equal(values[:, 1], values[:, 2])
