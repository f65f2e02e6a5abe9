"""Elastic jobs beside Kueue itself: admitted to the same flavors, with as many GPUs, after each event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from envs.replay import replay
from tests.controlplane import objects
from tests.controlplane.plane import ControlPlane
from tests.envs.test_admits_as_kueue import (
    APART_S,
    NAMESPACE,
    SECONDS,
    STEPS,
    Case,
    _end_one,
    case,
    standing,
)

NUMBERS = (100, 101, 103, 104, 106, 107, 109, 110, 112, 113)
"""Of cases in which jobs end, and no queue is strict."""

Admitted = dict[str, tuple[str, int]]
"""Flavor and GPUs by job."""


def elastic(number: int) -> Case:
    """A case most of whose jobs may have fewer GPUs and are no slower for it, so that they end when they are told."""
    rigid, rng = case(number), np.random.default_rng(number)
    gpus = rigid.jobs.gpus
    jobs = replace(
        rigid.jobs,
        duration_s=np.full(len(gpus), np.inf),
        least_gpus=rng.integers(1, gpus.astype(np.int64) + 1),
        scaling=np.zeros(len(gpus)),
    )
    made = Case(number, rigid.cluster, jobs)
    for step in sorted(rigid.ends):
        _end_one(made, step, rng)
    return made


def expected(one: Case, step: int) -> Admitted:
    """What runs after a step."""
    ran = replay(one.jobs, one.cluster, float(step))
    running = ran.running_at(float(step)).tolist()
    return {one.name(job): (ran.flavors[ran.flavor[job]], int(ran.gpus[job])) for job in running}


@pytest.fixture(scope="module")
def cases(full_plane: ControlPlane) -> Iterator[list[Case]]:
    yield from standing(full_plane, [elastic(number) for number in NUMBERS])


def test_kueue_admits_elastic_jobs_with_as_many_gpus_after_each_event(
    full_plane: ControlPlane, cases: list[Case]
) -> None:
    shrunk = 0
    for step in range(STEPS):
        began = time.monotonic()
        for one in cases:
            _happen(full_plane, one, step)
        wanted = {job: told for one in cases for job, told in expected(one, step).items()}
        until = time.monotonic() + SECONDS
        while (found := _admitted(full_plane)) != wanted and time.monotonic() < until:
            time.sleep(0.2)
        assert found == wanted, f"after step {step}"
        shrunk += sum(
            one.jobs.gpus[job] > held[1]
            for one in cases
            for job in range(len(one.jobs))
            if (held := found.get(one.name(job))) is not None
        )
        time.sleep(max(0.0, began + APART_S - time.monotonic()))

    assert shrunk > len(NUMBERS)  # or it would prove little


def _happen(plane: ControlPlane, one: Case, step: int) -> None:
    if step in one.ends:
        plane.kubectl("delete", "workload", one.name(one.ends[step]), "-n", NAMESPACE, "--wait=false")
    for job in np.flatnonzero(one.jobs.submit_s == step).tolist():
        gpus, least = int(one.jobs.gpus[job]), int(one.jobs.least_gpus[job])
        each = objects.workload(
            NAMESPACE,
            one.name(job),
            gpus=1,
            count=gpus,
            min_count=least if least < gpus else None,
            local_queue=one.jobs.queues[one.jobs.queue[job]],
            priority=int(one.jobs.priority[job]),
            owner=None,
        )
        plane.apply([{key: value for key, value in each.items() if key != "status"}])


def _admitted(plane: ControlPlane) -> Admitted:
    """By Kueue, and not finished or deleted."""
    told = json.loads(plane.kubectl("get", "workloads", "-n", NAMESPACE, "-o", "json"))
    found: Admitted = {}
    for each in told["items"]:
        if "admission" in each.get("status", {}) and "deletionTimestamp" not in each["metadata"]:
            given = each["status"]["admission"]["podSetAssignments"][0]
            found[each["metadata"]["name"]] = next(iter(given["flavors"].values())), int(given["count"])
    return found
