"""The replay with quotas beside Kueue itself: the same jobs admitted, to the same flavors, after each event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from envs.replay import Cluster, Share, replay
from envs.workloads import JobTable
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.envs.test_replay import Job, table

NAMESPACE = "admits"
CASES, STEPS = 36, 14
FLAVORS = ("admits-x", "admits-y")
SECONDS = 20.0  # for Kueue to do what is expected of it
APART_S = 1.1  # it tells who came first by whole seconds

Admitted = dict[str, str]
"""Flavors by job."""


@dataclass
class Case:
    """A cohort of its own, and what happens in it: at each step a job comes, or one that runs ends."""

    number: int
    cluster: Cluster
    jobs: JobTable
    ends: dict[int, int] = field(default_factory=dict)  # which job ends, by step

    def name(self, job: int) -> str:
        return f"case-{self.number}-job-{job}"

    def expected(self, step: int) -> Admitted:
        """What runs after a step."""
        ran = replay(self.jobs, self.cluster, float(step))
        return {self.name(job): ran.flavors[ran.flavor[job]] for job in ran.running_at(float(step)).tolist()}


def case(number: int) -> Case:
    """Three queues of one cohort, with shares and limits at random; more is asked for than there is.

    In a third of the cases some are strict, and nothing ends: the head of a strict queue is never put aside, so that
    when something is freed Kueue may try it before it has recalled the others, or after.
    """
    rng, some_strict = np.random.default_rng(number), number % 3 == 0
    queues = [f"case-{number}-{letter}" for letter in "abc"]
    shares = {queue: {flavor: share(rng) for flavor in rng.permutation(FLAVORS).tolist()} for queue in queues}
    strict = frozenset(queue for queue in queues if some_strict and rng.random() < 0.6)
    cluster = Cluster(shares, dict.fromkeys(queues, f"case-{number}"), strict=strict)
    ending = (rng.random(STEPS) < 0.35) & (not some_strict)
    comes = [step for step in range(STEPS) if step < 4 or not ending[step]]
    rows = [(str(rng.choice(queues)), float(step), np.inf, int(rng.integers(1, 7))) for step in comes]
    priority = rng.choice([0, 0, 5], len(rows)).tolist()
    made = Case(number, cluster, table(rows, queues, priority))
    for step in sorted(set(range(STEPS)) - set(comes)):
        _end_one(made, step, rng)
    return made


def share(rng: np.random.Generator) -> Share:
    nominal = int(rng.integers(0, 7))
    borrowing = int(rng.integers(0, 5)) if rng.random() < 0.4 else None
    return Share(nominal, borrowing, int(rng.integers(0, nominal + 1)) if rng.random() < 0.4 else None)


def _end_one(made: Case, step: int, rng: np.random.Generator) -> None:
    """One of those that run by then ends at the step."""
    ran = replay(made.jobs, made.cluster, step - 0.5)
    running = ran.running_at(step - 0.5)
    if not len(running):
        return
    job = int(rng.choice(running))
    duration_s = made.jobs.duration_s.copy()
    duration_s[job] = step - ran.start_s[job]
    made.jobs = replace(made.jobs, duration_s=duration_s)
    made.ends[step] = job


BEHIND: tuple[list[Job], ...] = ([], [("a", 3, np.inf, 4)], [("a", 3, np.inf, 8)], [("a", 3, np.inf, 2)])


def left_by_its_head(nth: int) -> Case:
    """The head of a strict queue does not fit, keeps from another what it has a right to, and is deleted."""
    number = CASES + nth
    told: list[Job] = [("b", 0, np.inf, 8), ("a", 1, np.inf, 8), ("b", 2, np.inf, 4), *BEHIND[nth]]
    queue = {letter: f"case-{number}-{letter}" for letter in "ab"}
    rows = [(queue[letter], at_s, lasts_s, gpus) for letter, at_s, lasts_s, gpus in told]
    jobs = table(rows, list(queue.values()))
    jobs = replace(jobs, leaves_s=np.array([3.0 if row == 1 else np.inf for row in range(len(rows))]))
    shares = {queue["a"]: {FLAVORS[0]: Share(8)}, queue["b"]: {FLAVORS[0]: Share(4)}}
    cluster = Cluster(shares, dict.fromkeys(shares, f"case-{number}"), strict=frozenset({queue["a"]}))
    return Case(number, cluster, jobs, {4: 1})


def cluster_queues(made: Case) -> Iterator[objects.Object]:
    for queue, shares in made.cluster.shares.items():
        quotas = {name: objects.quota(s.nominal, s.borrowing_limit, s.lending_limit) for name, s in shares.items()}
        each = objects.cluster_queue(queue, cohort=f"case-{made.number}", quotas=quotas)
        if queue in made.cluster.strict:
            each["spec"]["queueingStrategy"] = "StrictFIFO"
        yield each
        yield objects.local_queue(NAMESPACE, queue, name=queue)


def standing(plane: ControlPlane, made: list[Case]) -> Iterator[list[Case]]:
    """The cohorts of all cases on a cluster, and taken away afterwards."""
    plane.apply([objects.namespace(NAMESPACE), *(objects.resource_flavor(name, labels={}) for name in FLAVORS)])
    plane.apply([each for one in made for each in cluster_queues(one)])
    queues = [f"clusterqueue/{queue}" for one in made for queue in one.cluster.shares]
    plane.kubectl("wait", "--for=condition=Active", "--timeout=60s", *queues)  # who is not known yet lends nothing
    yield made
    plane.kubectl("delete", "workloads", "--all", "-n", NAMESPACE, "--wait=false")
    plane.kubectl("delete", *queues, *(f"resourceflavor/{name}" for name in FLAVORS), "--wait=false")


@pytest.fixture(scope="module")
def cases(full_plane: ControlPlane) -> Iterator[list[Case]]:
    heads_leave = [left_by_its_head(nth) for nth in range(len(BEHIND))]
    yield from standing(full_plane, [*(case(number) for number in range(CASES)), *heads_leave])


def test_kueue_admits_the_same_jobs_to_the_same_flavors_after_each_event(
    full_plane: ControlPlane, cases: list[Case]
) -> None:
    for step in range(STEPS):
        began = time.monotonic()
        for one in cases:
            _happen(full_plane, one, step)
        expected = {job: flavor for one in cases for job, flavor in one.expected(step).items()}
        _comes_true(full_plane, expected, f"after step {step}")
        time.sleep(max(0.0, began + APART_S - time.monotonic()))

    drawn = cases[:CASES]
    assert sum(len(one.ends) for one in drawn) > CASES
    assert sum(len(one.jobs) - len(one.expected(STEPS)) for one in drawn) > CASES  # many wait, or it would prove little


def _happen(plane: ControlPlane, one: Case, step: int) -> None:
    if step in one.ends:
        plane.kubectl("delete", "workload", one.name(one.ends[step]), "-n", NAMESPACE, "--wait=false")
    for job in np.flatnonzero(one.jobs.submit_s == step).tolist():
        queue, gpus, priority = (getattr(one.jobs, name)[job] for name in ("queue", "gpus", "priority"))
        each = objects.workload(
            NAMESPACE,
            one.name(job),
            gpus=int(gpus),
            local_queue=one.jobs.queues[queue],
            priority=int(priority),
            owner=None,
        )
        plane.apply([{key: value for key, value in each.items() if key != "status"}])


def _comes_true(plane: ControlPlane, expected: Admitted, when: str) -> None:
    until = time.monotonic() + SECONDS
    while (found := _admitted(plane)) != expected and time.monotonic() < until:
        time.sleep(0.2)
    assert found == expected, when


def _admitted(plane: ControlPlane) -> Admitted:
    """By Kueue, and not finished or deleted."""
    told = json.loads(plane.kubectl("get", "workloads", "-n", NAMESPACE, "-o", "json"))
    return {
        each["metadata"]["name"]: next(iter(each["status"]["admission"]["podSetAssignments"][0]["flavors"].values()))
        for each in told["items"]
        if "admission" in each.get("status", {}) and "deletionTimestamp" not in each["metadata"]
    }
