"""Services on a cluster: their replicas among other jobs, and what those that ran answered."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from agents.pilots.hold import Hold
from envs.faults import Demand
from envs.hosting import Asked, crowded_loads, hosted, nobody
from envs.job_file import JobFile
from envs.loads import Load
from envs.meeting import met
from envs.replay import Cluster, Preemption, Share, Spells, replay
from envs.scenario import SAMPLE, Scenario, read_scenario, refuse_changes
from envs.services import Service
from envs.terms import PoolTerms, Prices
from envs.trial import Trial, steps_of, tried
from envs.workloads import JobTable
from envs.world import Weather, World
from gyropilot.errors import SettingsError

QUEUES = ("research", "production")
CHAT = Service("chat", "production", capacity_per_s=2.0, concurrency=4, target_s=10.0, max_replicas=8)
HOUR_S = 3_600.0


def load(*per_s: float) -> Load:
    """By the hour."""
    return Load(HOUR_S, np.array(per_s))


def jobs(*submit_s: float, priority: int = 0) -> JobFile:
    """Of the queue research: four GPUs for an hour."""
    count = len(submit_s)
    zeros = np.zeros(count, dtype=np.int64)
    table = JobTable(
        QUEUES,
        zeros,
        np.array(submit_s),
        np.full(count, HOUR_S),
        np.full(count, 4),
        np.full(count, priority),
        zeros,
        zeros,
        np.full(count, np.inf),
    )
    return JobFile(table, np.array([f"job-{nth}" for nth in range(count)]), ())


def cluster(gpus: int) -> Cluster:
    """Shared, without quotas that bind."""
    return Cluster({queue: {"h100": Share(gpus)} for queue in QUEUES}, dict.fromkeys(QUEUES, "all"), {"h100": gpus})


def test_replicas_stand_among_jobs_in_order_of_submission_by_names_of_their_own() -> None:
    file, (chat,) = hosted(jobs(0.0, 1_000.0), [Asked(CHAT, load(1.0, 2.0))], 0.0, QUEUES)

    assert file.ids.tolist() == ["job-0", "chat/1", "job-1", "chat/2"]
    assert file.table.submit_s.tolist() == [0.0, 0.0, 1_000.0, 3_600.0]
    assert chat.rows.tolist() == [1, 3]


def test_a_load_begins_with_the_world_or_later() -> None:
    file, (chat,) = hosted(nobody(QUEUES), [Asked(CHAT, load(1.0), at_s=7_200.0)], 500_000.0, QUEUES)

    assert file.table.submit_s.tolist() == [507_200.0]
    assert chat.until_s.tolist() == [3_600.0]


def test_replicas_that_start_at_once_answer_what_they_are_wanted_for() -> None:
    file, (chat,) = hosted(nobody(QUEUES), [Asked(CHAT, load(3.0, 9.0, 3.0))], 0.0, QUEUES)

    found = chat.served(replay(file.table, cluster(8), np.inf).spells)

    assert found.ran_mean == pytest.approx(found.wanted.mean)
    assert found.ran_peak == found.wanted.peak == 7
    assert found.asked == pytest.approx(15 * HOUR_S)
    assert (found.unanswered, found.most_waiting) == (0.0, 0.0)
    assert found.kept


def test_replicas_that_wait_behind_others_answer_nobody() -> None:
    asked = [Asked(CHAT, load(3.0, 3.0))]
    file, (chat,) = hosted(jobs(0.0, priority=2_000), asked, 0.0, QUEUES)

    found = chat.served(replay(file.table, cluster(4), np.inf).spells)

    assert found.ran[found.edges_s[:-1] < HOUR_S].max() == 0
    assert found.ran[found.edges_s[:-1] >= HOUR_S].min() == 3
    assert found.most_waiting == pytest.approx(3.0 * HOUR_S)
    assert not found.kept


def test_a_replica_that_started_late_leaves_with_its_load_and_makes_room() -> None:
    asked = [Asked(CHAT, load(3.0, 3.0))]
    file, (chat,) = hosted(jobs(0.0, 3.5 * HOUR_S, priority=2_000), asked, 0.0, QUEUES)

    ran = replay(file.table, cluster(4), np.inf)

    assert ran.start_s[chat.rows].min() == HOUR_S
    assert ran.end_s[chat.rows].max() <= 2 * HOUR_S + 300.0  # when the autoscaler has forgotten the load
    assert ran.start_s[file.ids == "job-1"].tolist() == [3.5 * HOUR_S]


def test_a_replica_answers_when_it_is_warm_and_until_it_is_no_longer_wanted() -> None:
    service = Service("chat", "production", capacity_per_s=2.0, warm_up_s=120.0)
    _, (chat,) = hosted(nobody(QUEUES), [Asked(service, load(1.0))], 0.0, QUEUES)

    found = chat.served(Spells(np.array([0]), np.array([0]), np.array([1]), np.array([600.0]), np.array([9_000.0])))

    answers = found.edges_s[:-1][found.ran > 0]
    assert (answers.min(), found.edges_s[-1]) == (720.0, HOUR_S)
    assert found.ran_mean == pytest.approx((HOUR_S - 720.0) / HOUR_S)


def test_replicas_that_begin_with_the_load_are_warm() -> None:
    service = Service("chat", "production", capacity_per_s=2.0, warm_up_s=120.0)
    file, (chat,) = hosted(nobody(QUEUES), [Asked(service, load(1.0), at_s=600.0)], 0.0, QUEUES)

    found = chat.served(replay(file.table, cluster(8), np.inf).spells)

    assert (found.ran.min(), found.most_waiting) == (1, 0.0)


def test_replicas_of_one_service_are_not_those_of_another() -> None:
    both = [Asked(CHAT, load(3.0)), Asked(Service("api", "research", 1.0), load(0.5))]
    file, (chat, api) = hosted(nobody(QUEUES), both, 0.0, QUEUES)

    spells = replay(file.table, cluster(8), np.inf).spells

    assert (chat.served(spells).ran_peak, api.served(spells).ran_peak) == (3, 1)


def test_a_burst_asks_a_service_of_its_queue_for_more() -> None:
    burst = Demand(at_s=HOUR_S, lasts_s=HOUR_S, times=3.0, queue="production")

    (changed,) = crowded_loads([burst], [Asked(CHAT, load(1.0, 1.0, 1.0))])
    (later,) = crowded_loads([burst], [Asked(CHAT, load(1.0, 1.0, 1.0), at_s=HOUR_S)])
    (other,) = crowded_loads([burst], [Asked(Service("api", "research", 1.0), load(1.0, 1.0, 1.0))])

    assert changed.load.per_s.tolist() == [1.0, 3.0, 1.0]
    assert later.load.per_s.tolist() == [3.0, 1.0, 1.0]
    assert other.load.per_s.tolist() == [1.0, 1.0, 1.0]


def held(file: JobFile, *, nodes: int = 8, loss_at: int | None = None, notice_s: float = 0.0) -> Trial:
    """A cluster of nodes of one GPU that nobody steers; all are lost for a step where that is told."""
    pool = PoolTerms("h100", nodes, nodes, nodes, gpus_per_node=1, lead_s=600.0, notice_s=notice_s)
    world = World((pool,))
    weather = Weather.calm(world.pools, steps_of(file.table))
    if loss_at is not None:
        weather.loss[:, loss_at] = 1.0
    return tried(world, file.table, Hold(), Prices(), weather)


def test_a_pilot_without_a_loss_serves_as_a_replay_does() -> None:
    file, (chat,) = hosted(jobs(0.0), [Asked(CHAT, load(3.0, 4.0, 3.0))], 0.0, QUEUES)

    tried_, replayed = chat.served(held(file).replicas), chat.served(replay(file.table, cluster(8), np.inf).spells)

    assert tried_.ran_mean == pytest.approx(replayed.ran_mean)
    assert tried_.p95_s == pytest.approx(replayed.p95_s)


def test_replicas_on_lost_nodes_answer_nobody_until_they_start_again() -> None:
    file, (chat,) = hosted(nobody(QUEUES), [Asked(CHAT, load(3.0, 3.0))], 0.0, QUEUES)

    found = chat.served(held(file, loss_at=6).replicas)

    begins_s = found.edges_s[:-1]
    assert found.ran[begins_s < 1_800.0].min() == 3
    assert found.ran[(begins_s >= 1_800.0) & (begins_s < 2_400.0)].max() == 0
    assert found.ran[(begins_s >= 2_400.0) & (begins_s < 7_200.0)].min() == 3


def test_replicas_on_nodes_that_go_answer_until_the_notice_is_over() -> None:
    file, (chat,) = hosted(nobody(QUEUES), [Asked(CHAT, load(3.0, 3.0))], 0.0, QUEUES)

    trial = held(file, loss_at=6, notice_s=120.0)

    found, stopped = chat.served(trial.replicas), trial.replicas.end_s == 1_920.0
    begins_s = found.edges_s[:-1]
    assert trial.stops[chat.rows].tolist() == [1, 1, 1]
    assert (stopped.sum(), trial.replicas.start_s[~stopped].tolist()) == (3, [2_400.0] * 3)
    assert found.ran[begins_s < 1_920.0].min() == 3
    assert found.ran[(begins_s >= 1_920.0) & (begins_s < 2_400.0)].max() == 0


def test_a_replica_that_leaves_while_its_node_has_notice_is_no_stop() -> None:
    file, (chat,) = hosted(nobody(QUEUES), [Asked(CHAT, Load(30.0, np.full(67, 3.0)))], 0.0, QUEUES)

    trial = held(file, loss_at=6, notice_s=240.0)

    assert trial.stops[chat.rows].tolist() == [0, 0, 0]
    assert trial.replicas.end_s.tolist() == [2_010.0] * 3


def test_whom_others_stop_within_a_step_answers_nobody_from_its_beginning() -> None:
    pool = PoolTerms("h100", nodes=4, max_nodes=4, min_nodes=4, gpus_per_node=1)
    shares = {"research": {"h100": Share(4)}, "production": {"h100": Share(0)}}
    world = World((pool,), shares, dict.fromkeys(QUEUES, "all"), preemption={"research": Preemption(reclaim="any")})
    file, (chat,) = hosted(jobs(1_000.0), [Asked(CHAT, load(3.0, 3.0))], 0.0, QUEUES)

    found = chat.served(tried(world, file.table, Hold(), Prices(), Weather.calm(world.pools, 30)).replicas)

    begins_s = found.edges_s[:-1]
    assert found.ran[begins_s < 900.0].min() == 3
    assert found.ran[(begins_s >= 900.0) & (begins_s < 4_600.0)].max() == 0
    assert found.ran[begins_s >= 4_600.0].min() == 3


SERVICE = """
services:
  - {name: chat, queue: a, load: {per_s: 4, days: 1}, capacity_per_s: 2, concurrency: 3, target_s: 5}
"""


def scenario(folder: Path, services: str = SERVICE) -> Scenario:
    path = folder / "cluster.yaml"
    path.write_text(f"flavors: {{h100: 8}}\nqueues:\n  a:\n    shares: {{h100: {{nominal: 8}}}}\n{services}")
    return read_scenario(path)


def test_a_scenario_tells_services(tmp_path: Path) -> None:
    (told,) = scenario(tmp_path).services

    assert told.service == Service("chat", "a", capacity_per_s=2.0, concurrency=3, target_s=5.0)


def test_the_sample_tells_each_field_of_a_service(tmp_path: Path) -> None:
    head, services = SAMPLE.split("# services:\n")
    path = tmp_path / "cluster.yaml"
    path.write_text(head + "services:\n" + services.replace("\n#", "\n").removeprefix("#"))

    (told,) = read_scenario(path).services

    left_out = {"tokens_per_request", "service_s", "tolerance"}
    assert set(type(told).model_fields) - told.model_fields_set == left_out
    assert all(f"{name}" in services for name in left_out)


def test_time_to_serve_and_concurrency_tell_the_capacity(tmp_path: Path) -> None:
    path = "services: [{name: c, queue: a, load: {per_s: 4}, unit: tokens, tokens_per_request: 500, service_s: 4"

    (told,) = scenario(tmp_path, f"{path}, concurrency: 16}}]").services

    assert told.service.capacity_per_s == pytest.approx(2_000.0)
    assert told.service.service_s == pytest.approx(4.0)


def changed(**fields: str) -> str:
    told = {"name": "c", "queue": "a", "load": "{per_s: 4}", "capacity_per_s": "2", **fields}
    return f"services: [{{{', '.join(f'{name}: {value}' for name, value in told.items())}}}]"


@pytest.mark.parametrize(
    ("services", "why"),
    [
        (changed(queue="b"), "services.0.queue is b; there are a"),
        (changed(service_s="3"), "services.0: give either capacity_per_s or service_s"),
        (changed(unit="tokens"), "services.0: tokens_per_request belongs to unit: tokens"),
        (changed(min_replicas="3", max_replicas="2"), "services.0: min_replicas is more than max"),
        (changed(target_utilisation="70"), "services.0.target_utilisation: input should be less than or equal to 1"),
        (changed(load="{days: 3}"), "services.0.load.per_s: field required"),
        (changed(load="{file: x.csv, per_s: 3}"), "services.0.load.per_s: does not go with what else is told there"),
        (f"{changed()[:-1]}, {changed()[11:]}", "services.1.name is c, as another's"),
    ],
)
def test_a_service_that_cannot_be_is_refused_by_its_field(services: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=why):
        scenario(tmp_path, services)


def test_a_load_lies_beside_the_scenario_and_can_be_cut_and_multiplied(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("t_s,x_rps\n0,1\n3600,2\n7200,3\n10800,4\n")
    told = scenario(tmp_path, changed(load="{file: load.csv, from_h: 1, days: 0.083, times: 10, at_h: 2}"))

    (asked,) = [service.asked(tmp_path) for service in told.services]

    assert (asked.load.per_s.tolist(), asked.at_s) == ([20.0, 30.0], 7_200.0)


def test_a_cut_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("t_s,x_rps\n0,1\n3600,2\n")
    (service,) = scenario(tmp_path, changed(load="{file: load.csv, from_h: 5}")).services

    with pytest.raises(SettingsError, match=r"load.csv holds 2 hours; give a load.from_h that is less"):
        service.asked(tmp_path)


def test_a_cluster_may_meet_services_alone(tmp_path: Path) -> None:
    found = met(scenario(tmp_path), tmp_path, None, np.random.default_rng(0))

    assert found.began_s == 0.0
    assert set(found.file.ids[:2]) == {"chat/1", "chat/2"}


def test_without_jobs_and_services_there_is_nothing_to_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give --jobs FILE, or a scenario that has services"):
        met(scenario(tmp_path, ""), tmp_path, None, np.random.default_rng(0))


def test_services_of_whom_nobody_asks_anything_are_nothing_to_run_either(tmp_path: Path) -> None:
    nothing = scenario(tmp_path, changed(load="{per_s: 0}", min_replicas="0"))

    with pytest.raises(SettingsError, match="no service of the scenario wants any replica"):
        met(nothing, tmp_path, None, np.random.default_rng(0))


def test_replicas_may_take_parts_of_gpus_that_are_counted_alike(tmp_path: Path) -> None:
    halves = scenario(tmp_path, changed(gpus_per_replica="0.5"))
    odd, seventh = changed(gpus_per_replica="0.37"), changed(name="d", gpus_per_replica="0.143")

    assert set(met(halves, tmp_path, None, np.random.default_rng(0)).file.table.gpus.tolist()) == {0.5}
    odd_ones = scenario(tmp_path, f"{odd[:-1]}, {seventh[11:]}")
    with pytest.raises(SettingsError, match="gpus_per_replica of services and gpus of jobs are together no multiples"):
        met(odd_ones, tmp_path, None, np.random.default_rng(0))


def test_who_cuts_jobs_into_days_refuses_services(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="so services have no moment; leave them out"):
        refuse_changes(scenario(tmp_path), "tune")


def test_a_public_trace_is_served(tmp_path: Path) -> None:
    folder = os.environ.get("GYROPILOT_TRACES")
    if not folder:
        pytest.skip("set GYROPILOT_TRACES to the folder that holds serving_servegen_model.parquet")
    file = f"{{file: {folder}/serving_servegen_model.parquet, column: rate_rps, series: m-large, days: 2, times: 0.02}}"
    told = scenario(tmp_path, changed(load=file, capacity_per_s="2.5", concurrency="8", target_s="15"))

    found = met(told, tmp_path, None, np.random.default_rng(0))
    (chat,) = [s.served(replay(found.file.table, told.cluster, np.inf).spells) for s in found.services]

    assert chat.asked == pytest.approx(2 * 86_400 * 4.6, rel=0.3)
    assert 1 <= chat.ran_mean <= chat.wanted.mean + 1e-9 <= 8
    assert chat.p50_s < chat.p95_s < chat.p99_s
