"""Names that Kubernetes and Prometheus spell differently, and text that must not become PromQL."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.kubernetes import nodes
from gyropilot.prometheus.queries import METRICS, POOL_LABELS, Queries, exported_label, quoted, raw_resource


@pytest.mark.parametrize(
    ("sanitised", "raw"),
    [
        ("nvidia_com_gpu", "nvidia.com/gpu"),
        ("nvidia_com_gpu_shared", "nvidia.com/gpu.shared"),
        ("nvidia_com_mig_1g_10gb", "nvidia.com/mig-1g.10gb"),
        ("nvidia_com_mig_1g_5gb_me", "nvidia.com/mig-1g.5gb.me"),
        ("amd_com_gpu", "amd.com/gpu"),
        ("google_com_tpu", "google.com/tpu"),
        ("aws_amazon_com_neuroncore", "aws.amazon.com/neuroncore"),
        ("habana_ai_gaudi", "habana.ai/gaudi"),
        ("gpu_intel_com_i915", "gpu.intel.com/i915"),
    ],
)
def test_gives_resources_back_the_name_that_kubernetes_knows(sanitised: str, raw: str) -> None:
    assert raw_resource(sanitised) == raw


@pytest.mark.parametrize(
    ("kubernetes", "exported"),
    [
        ("team", "label_team"),
        ("costCenter", "label_cost_center"),
        ("kueue.x-k8s.io/cluster-queue-name", "label_kueue_x_k8s_io_cluster_queue_name"),
        ('team"} or vector(1)', "label_team___or_vector_1_"),
    ],
)
def test_spells_labels_as_kube_state_metrics_does(kubernetes: str, exported: str) -> None:
    assert exported_label(kubernetes) == exported


def test_names_pools_by_the_labels_that_the_kubernetes_reader_takes() -> None:
    models = ("nvidia.com/gpu.product", "amd.com/gpu.product-name")

    assert (*nodes.POOL_LABELS, *models) == POOL_LABELS


@settings(deadline=None)  # the machine may be busy
@given(st.text())
def test_a_quoted_text_stays_one_string(text: str) -> None:
    inside = quoted(text)[1:-1]

    assert "\n" not in inside
    assert inside.replace("\\\\", "").replace('\\"', "").count('"') == 0


@pytest.mark.usefixtures("start_prometheus")  # skips where promtool is absent
@pytest.mark.parametrize("labels", [{}, {"cluster": 'pr"od\\1\n'}])
@pytest.mark.parametrize("queue_label", ["", "example.com/team"])
def test_every_query_is_promql(tmp_path: Path, labels: dict[str, str], queue_label: str) -> None:
    asks = Queries(labels, queue_label, "example.com/pool")
    series = asks.kueue_running_gpus()
    queries = [
        *(ask() for ask in (asks.kueue_running_gpus, asks.kueue_pending_gpus, asks.kueue_quota_gpus)),
        asks.kueue_cohorts(600),
        *(ask() for ask in (asks.pod_running_gpus, asks.pod_pending_gpus, asks.pods_running, asks.pods_seen)),
        *(ask() for ask in (asks.pool_gpus, asks.pool_idle_gpus, asks.pool_nodes)),
        *(ask() for ask in (asks.gpu_utilisation, asks.gpu_memory_share, asks.gpu_watts, asks.inference_waiting)),
        asks.newest_sample(series),
        asks.last_sample(series, 600),
        asks.seen_within(series, 86_400),
        asks.found(tuple(need.name for need in METRICS)),
    ]
    rules = tmp_path / "rules.yml"
    asked = [{"record": "answer", "expr": query} for query in queries]
    rules.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": asked}]}))

    command = ["promtool", "check", "rules", "--lint=none", str(rules)]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(queries)} rules found" in checked.stdout
