"""Two readings become one picture, or a sentence why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from gyropilot.domain import DemandHistory, Line
from gyropilot.errors import ObservationError
from gyropilot.kubernetes.inventory import Inventory
from gyropilot.observe import Observer, demand_seen, join
from gyropilot.prometheus.metrics import Metrics
from gyropilot.settings import Settings
from tests.fakes import GPU, NOW, history, pool, queue

RESEARCH = Line("research", GPU)


def metrics(**changes: Any) -> Metrics:
    base = Metrics(
        history=history({"research": [4.0, 5.0, 6.0]}),
        newest={RESEARCH: (8.0, 2.0)},
        age=timedelta(seconds=15),
        source="kueue",
    )
    return replace(base, **changes)


def inventory(**changes: Any) -> Inventory:
    base = Inventory(NOW, (pool(),), (queue("research", running=7.0),), (), "v1beta2")
    return replace(base, **changes)


def test_the_newest_reading_is_the_last_point_of_the_history() -> None:
    seen = join(metrics(), inventory(), Settings(), NOW)

    assert seen.history.of(RESEARCH).tolist() == [4.0, 5.0, 10.0]


def test_the_history_that_was_read_is_left_as_it_was() -> None:
    told = metrics()

    join(told, inventory(), Settings(), NOW)

    assert told.history.of(RESEARCH).tolist() == [4.0, 5.0, 6.0]


def test_a_queue_carries_the_demand_that_its_forecast_is_made_from() -> None:
    seen = join(metrics(utilisation={"research": 0.4}), inventory(), Settings(), NOW)

    assert seen.queue("research").demand_gpus(GPU) == 10.0
    assert seen.queue("research").utilisation == 0.4


@pytest.mark.parametrize(
    ("running_by_prometheus", "unplaced"),
    [(24.0, {"a100": 8.0, "h100": 8.0}), (40.0, {"a100": 8.0, "h100": 8.0}), (12.0, {"h100": 4.0}), (8.0, {})],
)
def test_what_prometheus_still_counts_as_pending_is_not_counted_as_admitted_without_a_node_too(
    running_by_prometheus: float, unplaced: dict[str, float]
) -> None:
    admitted = queue("research", running=24.0, unplaced_gpus={GPU: {"a100": 8.0, "h100": 8.0}})
    told = metrics(newest={RESEARCH: (running_by_prometheus, 24.0 - running_by_prometheus)})

    seen = join(told, inventory(queues=(admitted,)), Settings(), NOW)

    assert seen.queue("research").unplaced_gpus == {GPU: unplaced}


def test_a_new_queue_has_a_history_of_gaps_not_of_zeros() -> None:
    seen = join(metrics(), inventory(queues=(queue("research"), queue("newcomer"))), Settings(), NOW)

    assert np.isnan(seen.history.of(Line("newcomer", GPU))).all()


def test_a_queue_that_is_gone_from_kubernetes_is_left_out_and_said() -> None:
    told = metrics(newest={RESEARCH: (1.0, 0.0), Line("old", GPU): (3.0, 0.0)})

    seen = join(told, inventory(), Settings(), NOW)

    assert [line.queue for line in seen.history.lines] == ["research"]
    assert "old in Prometheus and not in Kubernetes (deleted or renamed): left out" in seen.notes


def test_the_past_of_a_queue_that_is_gone_is_kept_apart_for_whoever_goes_on_under_another_name() -> None:
    both = metrics(history=history({"research": [4.0, 5.0, 6.0], "vision": [1.0, 2.0, 3.0]}))

    seen = join(both, inventory(), Settings(), NOW)

    assert seen.history.lines == (RESEARCH,)
    assert seen.gone.of(Line("vision", GPU)).tolist() == [1.0, 2.0, 3.0]


def test_prometheus_alone_tells_a_queue_apart_that_was_not_seen_for_over_an_hour_while_others_were() -> None:
    hours_2, hour = 24 * [np.nan], 12 * [np.nan]
    told = metrics(
        history=history({"research": 100 * [4.0], "deleted": 76 * [8.0] + hours_2, "late": 88 * [2.0] + hour})
    )

    seen = demand_seen(told, Settings())

    assert [line.queue for line in seen.history.lines] == ["late", "research"]
    assert seen.history.with_totals().of(Line("", GPU))[-1] == 12.0  # late counts as it was seen an hour ago
    assert seen.gone.of(Line("deleted", GPU))[:76].tolist() == 76 * [8.0]
    assert seen.notes == ("queue deleted (nvidia.com/gpu) was not seen since 2026-03-02 10:00 UTC: left out",)


def test_a_gap_of_all_lines_makes_nobody_gone() -> None:
    away = 60 * [np.nan]
    told = metrics(
        history=history({"research": 40 * [4.0] + away + [4.0], "scraped-later": 40 * [8.0] + away + [np.nan]})
    )

    seen = demand_seen(told, Settings())

    assert [line.queue for line in seen.history.lines] == ["research", "scraped-later"]
    assert (seen.gone.lines, seen.notes) == ((), ())


def test_of_many_queues_that_are_gone_the_latest_are_named() -> None:
    jobs = {f"job-{n:02}": [1.0, *(n + 1) * [1.0], *(98 - n) * [np.nan]] for n in range(40)}

    notes = demand_seen(metrics(history=history({"research": 100 * [4.0], **jobs})), Settings()).notes

    assert len(notes) == 11
    assert notes[0].startswith("queue job-39 ")
    assert notes[-1] == "30 more queues were not seen for longer: left out"


def test_nothing_at_all_is_nobody_gone() -> None:
    nothing = demand_seen(metrics(history=DemandHistory.empty(), newest={}), Settings())

    assert (nothing.history.lines, nothing.gone.lines, nothing.notes) == ((), (), ())


def test_a_large_difference_between_the_sources_is_said() -> None:
    seen = join(metrics(newest={RESEARCH: (30.0, 0.0)}), inventory(), Settings(), NOW)

    assert any("runs 30 GPUs by Prometheus and 7 by the Kubernetes API" in note for note in seen.notes)


def test_what_kueue_keeps_suspended_is_taken_from_the_kubernetes_api_where_prometheus_knows_only_pods() -> None:
    told = metrics(source="pods", suspended_seen=False, newest={RESEARCH: (8.0, 0.0)})

    seen = join(told, inventory(queues=(queue("research", running=8.0, pending=16.0),)), Settings(), NOW)

    assert seen.queue("research").pending_gpus == {GPU: 16.0}
    assert seen.history.of(RESEARCH).tolist() == [4.0, 5.0, 24.0]
    assert seen.notes == (
        "what Kueue keeps waiting is not in Prometheus: what waits now is taken from the Kubernetes API (16 GPUs), "
        "but history shows only what ran, so forecasts are too low; set `metrics.enableClusterQueueResources: true` "
        "in Kueue's configuration and scrape it with a bearer token",
    )


def test_a_queue_whose_first_jobs_wait_suspended_is_not_idle() -> None:
    told = metrics(source="pods", suspended_seen=False)
    newcomer = queue("newcomer", running=8.0, pending=16.0)

    seen = join(told, inventory(queues=(queue("research"), newcomer)), Settings(), NOW)

    assert seen.history.of(Line("newcomer", GPU))[-1] == 24.0


def test_pods_that_wait_for_nodes_count_where_they_are_more_than_kueue_holds_back() -> None:
    told = metrics(source="pods", suspended_seen=False, newest={RESEARCH: (8.0, 12.0)})

    seen = join(told, inventory(queues=(queue("research", pending=4.0),)), Settings(), NOW)

    assert seen.queue("research").pending_gpus == {GPU: 12.0}


@pytest.mark.parametrize(("kueue", "suspended_seen"), [(None, False), ("v1beta2", True)])
def test_prometheus_is_believed_where_it_sees_all_that_waits(kueue: str | None, suspended_seen: bool) -> None:
    told = metrics(suspended_seen=suspended_seen, newest={RESEARCH: (8.0, 2.0)})

    seen = join(told, inventory(kueue=kueue, queues=(queue("research", running=8, pending=16.0),)), Settings(), NOW)

    assert seen.queue("research").pending_gpus == {GPU: 2.0}
    assert seen.notes == ()


def test_pods_without_the_label_of_their_queue_are_a_cause_to_look_for() -> None:
    with pytest.raises(ObservationError, match=r"where pods lack their queue's label .* start kube-state"):
        join(metrics(source="pods"), inventory(queues=(queue("vision"),)), Settings(), NOW)


def test_a_quota_that_the_sources_see_differently_is_said() -> None:
    seen = join(metrics(quota_gpus={RESEARCH: 48.0}), inventory(), Settings(), NOW)

    assert seen.notes == (
        "queue research has a quota of 48 GPUs by Prometheus and 16 by the Kubernetes API, which is believed",
    )


def test_a_pool_that_the_sources_see_differently_is_said() -> None:
    told = metrics(pool_gpus={"h100": 16.0}, pool_idle_gpus={"h100": 3.0}, pool_nodes={"h100": 2.0})

    seen = join(told, inventory(), Settings(), NOW)

    assert seen.notes == (
        "pool h100 has 16 GPUs on 2 ready nodes, 3 of them idle, by Prometheus and 32 on 4, 32 idle, by the "
        "Kubernetes API, which is believed",
    )


def test_what_scrape_delay_explains_is_not_said() -> None:
    told = metrics(pool_gpus={"h100": 24.0}, pool_idle_gpus={"h100": 26.0}, quota_gpus={RESEARCH: 20.0})

    assert join(told, inventory(), Settings(), NOW).notes == ()


def test_pools_of_other_names_are_said_and_no_reason_to_refuse() -> None:
    seen = join(metrics(pool_gpus={"NVIDIA-H100": 32.0}), inventory(), Settings(), NOW)

    assert [note.split(":")[0] for note in seen.notes] == [
        "GPUs of pool NVIDIA-H100 are seen only by Prometheus",
        "GPUs of pool h100 are seen only by the Kubernetes API",
    ]


def test_parts_of_a_pool_are_the_pool_that_prometheus_names() -> None:
    parts = (pool("a100:gpu"), pool("a100:mig-1g.10gb"))

    assert join(metrics(pool_gpus={"a100": 64.0}), inventory(pools=parts), Settings(), NOW).notes == ()


def test_stale_metrics_are_refused_with_their_age() -> None:
    with pytest.raises(ObservationError, match=r"12\.0 min old, 5\.0 min are allowed"):
        join(metrics(age=timedelta(minutes=12)), inventory(), Settings(), NOW)


def test_a_cluster_without_accelerators_and_queues_is_refused() -> None:
    with pytest.raises(ObservationError, match="neither accelerator nodes nor queues"):
        join(metrics(), inventory(pools=(), queues=()), Settings(), NOW)


def test_a_cluster_without_queues_is_refused() -> None:
    with pytest.raises(ObservationError, match="install Kueue and create ClusterQueues"):
        join(metrics(), inventory(queues=()), Settings(), NOW)


def test_sources_that_speak_of_different_clusters_are_refused() -> None:
    with pytest.raises(ObservationError, match="speak of different clusters"):
        join(metrics(), inventory(queues=(queue("vision"),)), Settings(), NOW)


def test_the_observer_reads_both_sources_for_the_same_moment() -> None:
    asked = []

    seen = Observer(
        lambda now: asked.append(now) or metrics(),  # type: ignore[func-returns-value]
        lambda now: asked.append(now) or inventory(),  # type: ignore[func-returns-value]
        Settings(),
    )(NOW)

    assert asked == [NOW, NOW]
    assert seen.freshness == {"prometheus": timedelta(seconds=15), "kubernetes": timedelta(0)}
