"""The replay with preemption and fair sharing beside Kueue itself: the same jobs run, and stop, after each event.

Elastic ones with as many GPUs, too: where all that they ask for is not to be had, whom they stop follows from how many
they make do with.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import pytest

from envs.replay import FAIR, Cluster, FairRule, Preemption, Reclaim, Replay, Share, Within, replay
from envs.workloads import JobTable
from tests.controlplane import objects, parts
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Running
from tests.controlplane.site import missing
from tests.envs.plain_preemption import plain_replay, restless_s
from tests.envs.test_replay import table

NAMESPACE = "stops"
STEPS = 12
FLAVORS = ("stops-x", "stops-y")
SECONDS = 30.0  # for Kueue to do what is expected of it
APART_S = 1.1  # it tells who came first by whole seconds

Word = TypeVar("Word", bound=str)
Admitted = dict[str, tuple[str, int]]
"""Flavor and GPUs by job."""


@dataclass
class Case:
    """A cohort of its own, and what happens in it: at each step a job comes, or one that runs ends."""

    name: str
    cluster: Cluster
    jobs: JobTable
    ends: dict[int, int] = field(default_factory=dict)  # which job ends, by step

    def job(self, row: int) -> str:
        return f"{self.name}-job-{row}"

    def expected(self, step: int) -> Admitted:
        """What runs after a step."""
        ran = replay(self.jobs, self.cluster, float(step)).spells
        now = ran.of((ran.start_s <= step) & (ran.end_s > step))
        given = zip(now.job.tolist(), now.flavor.tolist(), now.gpus.tolist(), strict=True)
        return {self.job(job): (FLAVORS[flavor], int(gpus)) for job, flavor, gpus in given}

    @property
    def stops(self) -> int:
        """How often a job that ran had to stop."""
        ran = replay(self.jobs, self.cluster, float(STEPS)).spells
        return len(ran.job) - len(np.unique(ran.job))

    @property
    def shrunk(self) -> int:
        """How often a job ran with fewer GPUs than it asks for."""
        ran = replay(self.jobs, self.cluster, float(STEPS)).spells
        return int((ran.gpus < self.jobs.gpus[ran.job]).sum())


def cases(name: str, count: int, fair: tuple[FairRule, ...], elastic: bool) -> list[Case]:
    """Such in which somebody stops, and in which it is told by rules who; elastic ones with fewer GPUs, and rest."""
    found: list[Case] = []
    seed = 0
    while len(found) < count:
        made, seed = _case(seed, f"{name}-{len(found)}", fair, elastic), seed + 1
        if made.stops >= 2 and (not elastic or (made.shrunk >= 2 and _rests(made))) and _told_by_rules(made):
            found.append(made)
    return found


def restless(name: str, count: int) -> list[Case]:
    """Such in which elastic jobs stop each other for ever."""
    made = (_case(seed, f"{name}-{seed}", (), elastic=True) for seed in range(1_000))
    return list(islice((one for one in made if not _rests(one) and _told_by_rules(one)), count))


def _case(seed: int, name: str, fair: tuple[FairRule, ...], elastic: bool) -> Case:
    """Three queues of one cohort, with shares, limits and policies at random; more is asked for than there is."""
    rng = np.random.default_rng(seed)
    queues = [f"{name}-{letter}" for letter in "abc"]
    shares = {queue: {flavor: _share(rng) for flavor in rng.permutation(FLAVORS).tolist()} for queue in queues}
    weights = {queue: float(rng.choice([0.5, 1.0, 2.0])) for queue in queues} if fair else {}
    policies = {queue: _policy(rng, bool(fair)) for queue in queues}
    cohort, installed = dict.fromkeys(queues, name), dict.fromkeys(FLAVORS, 1 << 30)
    cluster = Cluster(shares, cohort, installed, frozenset(), True, policies, fair, weights, restart_s=0.0)
    ending = rng.random(STEPS) < 0.25
    comes = [step for step in range(STEPS) if step < 5 or not ending[step]]
    rows = [(str(rng.choice(queues)), float(step), np.inf, int(rng.integers(1, 7))) for step in comes]
    jobs = table(rows, queues, rng.choice([0, 0, 3, 5], len(rows)).tolist())
    made = Case(name, cluster, _elastic(jobs, np.random.default_rng([seed, 1])) if elastic else jobs)
    for step in sorted(set(range(STEPS)) - set(comes)):
        _end_one(made, step, rng)
    return made


def _elastic(jobs: JobTable, rng: np.random.Generator) -> JobTable:
    """Most of them may have fewer GPUs and are no slower for it, so that they end when they are told."""
    least = rng.integers(1, jobs.gpus.astype(np.int64) + 1)
    return replace(jobs, least_gpus=least, scaling=np.zeros(len(jobs)))


def _share(rng: np.random.Generator) -> Share:
    nominal = int(rng.integers(0, 7))
    borrowing = int(rng.integers(0, 5)) if rng.random() < 0.3 else None
    return Share(nominal, borrowing, int(rng.integers(0, nominal + 1)) if rng.random() < 0.3 else None)


def _policy(rng: np.random.Generator, fair: bool) -> Preemption:
    within = _any(rng, get_args(Within))
    reclaim = _any(rng, (*get_args(Reclaim), "any"))
    if fair or reclaim == "never" or rng.random() < 0.5:
        return Preemption(within, reclaim)
    return Preemption(within, reclaim, "lower_priority", int(rng.integers(0, 4)) if rng.random() < 0.5 else None)


def _any(rng: np.random.Generator, of: Sequence[Word]) -> Word:
    return of[int(rng.integers(len(of)))]


def _end_one(made: Case, step: int, rng: np.random.Generator) -> None:
    """One of those that run by then, and never stopped, ends at the step."""
    ran = replay(made.jobs, made.cluster, step - 0.5).spells
    jobs, times = np.unique(ran.job, return_counts=True)
    running = [job for job in ran.job[ran.end_s > step - 0.5].tolist() if job in jobs[times == 1]]
    if not running:
        return
    job = int(rng.choice(running))
    duration_s = made.jobs.duration_s.copy()
    duration_s[job] = step - ran.start_s[ran.job == job][0]
    made.jobs = replace(made.jobs, duration_s=duration_s)
    made.ends[step] = job


def _rests(made: Case) -> bool:
    return restless_s(made.jobs, made.cluster, float(STEPS)) == np.inf


def _told_by_rules(made: Case) -> bool:
    """Whether it does not matter who stops first of those that started at the same moment: no rule tells."""
    one, other = (plain_replay(made.jobs, made.cluster, float(STEPS), latest) for latest in (True, False))
    return _spells(one) == _spells(other)


def _spells(ran: Replay) -> list[tuple[int, float]]:
    return sorted(zip(ran.spells.job.tolist(), ran.spells.end_s.tolist(), strict=True))


def _cluster_queues(made: Case) -> Iterator[objects.Object]:
    for queue, shares in made.cluster.shares.items():
        quotas = {name: objects.quota(s.nominal, s.borrowing_limit, s.lending_limit) for name, s in shares.items()}
        weight = made.cluster.weights.get(queue)
        told = None if weight is None else str(weight)
        each = objects.cluster_queue(queue, cohort=made.name, quotas=quotas, weight=told)
        each["spec"]["preemption"] = _preemption(made.cluster.preemption[queue])
        yield each
        yield objects.local_queue(NAMESPACE, queue, name=queue)


def _preemption(policy: Preemption) -> objects.Object:
    told: objects.Object = {
        "withinClusterQueue": _camel(policy.within),
        "reclaimWithinCohort": _camel(policy.reclaim),
        "borrowWithinCohort": {"policy": _camel(policy.borrow)},
    }
    if policy.borrow_up_to is not None:
        told["borrowWithinCohort"]["maxPriorityThreshold"] = policy.borrow_up_to
    return told


def _camel(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("_"))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server and Kueue alone, which may be started anew with other settings."""
    if why := missing("kueue", "manifests"):
        pytest.skip(why)
    started = ControlPlane.started(tmp_path_factory.mktemp("stops"), ["kueue"])
    try:
        flavors = [objects.resource_flavor(name, labels={}) for name in FLAVORS]
        started.apply([objects.namespace(NAMESPACE), *flavors])
        yield started
    finally:
        started.stop()


RULES = pytest.mark.parametrize(
    ("name", "count", "fair"),
    [("classic", 24, ()), ("fair", 8, FAIR), ("final", 8, FAIR[:1]), ("initial", 8, FAIR[1:])],
    ids=["by priority and quota", "by shares", "by final shares", "by initial shares"],
)


@RULES
def test_kueue_runs_and_stops_the_same_jobs_after_each_event(
    plane: ControlPlane, name: str, count: int, fair: tuple[FairRule, ...]
) -> None:
    """In seven of eight cohorts at least: Kueue lets go of jobs one by one, and may start another head in between."""
    alike = _alike_to_the_end(plane, name, cases(name, count, fair, elastic=False), fair)

    assert len(alike) >= count - count // 8
    assert sum(one.stops for one in alike) > 2 * len(alike)


@RULES
def test_kueue_runs_and_stops_elastic_jobs_with_as_many_gpus_after_each_event(
    plane: ControlPlane, name: str, count: int, fair: tuple[FairRule, ...]
) -> None:
    """In as many cohorts, for the same reason. Such in which all come to rest: others are below."""
    name = f"elastic-{name}"
    alike = _alike_to_the_end(plane, name, cases(name, count, fair, elastic=True), fair)

    assert len(alike) >= count - count // 8
    assert sum(one.stops for one in alike) > 2 * len(alike)
    assert sum(one.shrunk for one in alike) > 2 * len(alike)


def test_where_elastic_jobs_would_stop_each_other_for_ever_kueue_stops_them_for_ever_too(plane: ControlPlane) -> None:
    """One makes do with less, has another stop for that, finds room for all that it asks for, and loses it again.

    Where Kueue, which lets go of jobs one by one, started another head in between, all may come to rest: then anew.
    """
    _start_kueue(plane, ())
    seeds = [int(one.name.rpartition("-")[2]) for one in restless("restless", 4)]
    for attempt in range(3):
        seeds = _come_to_rest(plane, f"restless{attempt}", seeds) if seeds else []

    assert not seeds


def _come_to_rest(plane: ControlPlane, name: str, seeds: Sequence[int]) -> list[int]:
    """Of cohorts that should never: those in which no job stopped twenty times."""
    often = 20
    made = [_case(seed, f"{name}-{seed}", (), elastic=True) for seed in seeds]
    plane.apply([each for one in made for each in _cluster_queues(one)])
    until = {one.name: int(restless_s(one.jobs, one.cluster, float(STEPS))) for one in made}

    for step in range(1 + max(until.values())):
        calm = [one for one in made if step < until[one.name]]
        for one in made:
            if step <= until[one.name]:
                _happen(plane, one, step)
        assert not _astray(plane, name, calm, step)
        time.sleep(APART_S)

    ends = time.monotonic() + 2 * SECONDS
    while min(_most_stops(plane, made)) < often and time.monotonic() < ends:
        _admitted(plane, name)
    stops = _most_stops(plane, made)
    return [seed for seed, most in zip(seeds, stops, strict=True) if most < often]


def _most_stops(plane: ControlPlane, made: Sequence[Case]) -> list[int]:
    """How often the job of each case that stopped most often did."""
    stops = dict.fromkeys((one.name for one in made), 0)
    for each in plane.request("GET", _path())["items"]:
        cohort = each["metadata"]["name"].rpartition("-job-")[0]
        evictions = each.get("status", {}).get("schedulingStats", {}).get("evictions", [])
        if cohort in stops:
            stops[cohort] = max([stops[cohort], *(told["count"] for told in evictions)])
    return list(stops.values())


def _alike_to_the_end(plane: ControlPlane, name: str, made: list[Case], fair: tuple[FairRule, ...]) -> list[Case]:
    """Those in which Kueue runs, after each event, what is expected."""
    _start_kueue(plane, fair)
    plane.apply([each for one in made for each in _cluster_queues(one)])

    for step in range(STEPS):
        began = time.monotonic()
        for one in made:
            _happen(plane, one, step)
        astray = _astray(plane, name, made, step)
        made = [one for one in made if one not in astray]
        time.sleep(max(0.0, began + APART_S - time.monotonic()))
    return made


def _start_kueue(plane: ControlPlane, fair: tuple[FairRule, ...]) -> None:
    plane.stop("kueue")
    command = parts.kueue(plane.site)
    settings = Path(next(word for word in command.argv if word.startswith("--config=")).removeprefix("--config="))
    told = json.loads(settings.read_text())
    if fair:
        rules = ["".join(word.capitalize() for word in rule.split("_")) for rule in fair]
        told["fairSharing"] = {"preemptionStrategies": rules}
    settings.write_text(json.dumps(told))
    plane.running["kueue"] = Running.start("kueue", command, plane.site)


def _happen(plane: ControlPlane, one: Case, step: int) -> None:
    if step in one.ends:
        plane.request("DELETE", _path(one.job(one.ends[step])))
    for job in np.flatnonzero(one.jobs.submit_s == step).tolist():
        told = (getattr(one.jobs, name)[job] for name in ("queue", "gpus", "least_gpus", "priority"))
        queue, gpus, least, priority = map(int, told)
        each = objects.workload(
            NAMESPACE,
            one.job(job),
            gpus=1,
            count=gpus,
            min_count=least if least < gpus else None,
            local_queue=one.jobs.queues[queue],
            priority=priority,
            owner=None,
        )
        plane.apply([{key: value for key, value in each.items() if key != "status"}])


def _path(name: str = "") -> str:
    return f"/apis/{objects.KUEUE}/namespaces/{NAMESPACE}/workloads/{name}".rstrip("/")


def _astray(plane: ControlPlane, name: str, made: Sequence[Case], step: int) -> list[Case]:
    """Where other jobs run, once those have stopped that were told to: a job's own controller would do that."""
    until, astray = time.monotonic() + SECONDS, list(made)
    while astray and time.monotonic() < until:
        time.sleep(0.2)
        found = _admitted(plane, name)
        astray = [one for one in made if _of(one, found) != one.expected(step)]
    return astray


def _of(one: Case, found: Admitted) -> Admitted:
    return {job: given for job, given in found.items() if job.startswith(f"{one.name}-job-")}


def _admitted(plane: ControlPlane, name: str) -> Admitted:
    """By Kueue, and not finished, deleted or told to stop; those that were, stop."""
    found: Admitted = {}
    for each in plane.request("GET", _path())["items"]:
        status = each.get("status", {})
        mine = each["metadata"]["name"].startswith(f"{name}-")
        if not mine or "admission" not in status or "deletionTimestamp" in each["metadata"]:
            continue
        if any(told["type"] == "Evicted" and told["status"] == "True" for told in status["conditions"]):
            _stop(plane, each)
        else:
            given = status["admission"]["podSetAssignments"][0]
            found[each["metadata"]["name"]] = next(iter(given["flavors"].values())), int(given["count"])
    return found


def _stop(plane: ControlPlane, workload: dict[str, Any]) -> None:
    """As Kueue's own controllers of jobs do: it holds no quota any more, and waits again."""
    status = workload["status"]
    del status["admission"]
    for told in status["conditions"]:
        if told["type"] in {"QuotaReserved", "Admitted"}:
            told["status"], told["reason"] = "False", "Pending" if told["type"] == "QuotaReserved" else "NoReservation"
    conditions = [told for told in status["conditions"] if told["type"] != "Requeued"]
    again = {"type": "Requeued", "status": "True", "reason": "Preempted", "message": "Stopped for others"}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    status["conditions"] = [*conditions, {**again, "lastTransitionTime": now}]
    plane.request("PUT", f"{_path(workload['metadata']['name'])}/status", workload)
