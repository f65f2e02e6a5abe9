"""What is read from a real Prometheus."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gyropilot.domain import Line
from gyropilot.errors import ObservationError, PrometheusError, SettingsError
from gyropilot.prometheus.client import Client, Sample
from gyropilot.prometheus.complaints import QueryRefused
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.settings import PrometheusSettings
from tests.fakes import GPU, NOW
from tests.prometheus.conftest import MIG
from tests.servers import PrometheusServer

ReaderOf = Callable[..., PrometheusReader]

RESEARCH, PRODUCT, SLICES = Line("research", GPU), Line("product", GPU), Line("research", MIG)
HOUR = 12  # steps of five minutes


def test_reads_demand_per_queue_and_resource(reader_of: ReaderOf) -> None:
    metrics = reader_of("full").read(NOW)

    assert metrics.source == "kueue"
    assert metrics.suspended_seen
    assert metrics.history.lines == (PRODUCT, RESEARCH, SLICES)
    assert metrics.newest == {RESEARCH: (32.0, 16.0), PRODUCT: (0.0, 0.0), SLICES: (5.0, 0.0)}
    assert metrics.history.of(RESEARCH)[-1] == 48.0
    assert metrics.history.of(PRODUCT)[-1] == 0.0
    assert metrics.notes == ()


def test_the_history_ends_at_the_newest_grid_point(reader_of: ReaderOf) -> None:
    history = reader_of("full").read(NOW + timedelta(seconds=100)).history

    assert history.end == NOW
    assert history.step == timedelta(minutes=5)
    assert len(history.times) == 6 * HOUR


def test_a_gap_is_not_seen_rather_than_zero(reader_of: ReaderOf) -> None:
    history = reader_of("full").read(NOW).history

    gap = (history.times > NOW.timestamp() - 3 * 3600) & (history.times < NOW.timestamp() - 2 * 3600)
    for line in history.lines:
        np.testing.assert_array_equal(np.isnan(history.of(line)), gap)


def test_reads_quota_over_flavors_once_per_replica(reader_of: ReaderOf) -> None:
    assert reader_of("full").read(NOW).quota_gpus == {RESEARCH: 48.0}


def test_reads_which_queue_is_in_which_cohort(reader_of: ReaderOf) -> None:
    assert reader_of("full").read(NOW).cohorts == {"research": "all", "product": "all"}


def test_a_queue_that_moved_is_in_the_cohort_that_was_seen_last(reader_of: ReaderOf) -> None:
    assert reader_of("moved").read(NOW).cohorts == {"research": "labs"}


def test_a_queue_that_left_its_cohort_is_in_none(reader_of: ReaderOf) -> None:
    assert reader_of("left").read(NOW).cohorts == {}


@pytest.mark.parametrize(
    ("cluster", "cohorts"),
    [("full", {"research": "all", "product": "all"}), ("moved", {"research": "labs"}), ("left", {})],
)
def test_cohorts_are_known_as_long_as_samples_may_be_old(
    reader_of: ReaderOf, cluster: str, cohorts: dict[str, str]
) -> None:
    metrics = reader_of(cluster, max_age="15m").read(NOW + timedelta(minutes=10))

    assert metrics.age == timedelta(minutes=10)
    assert metrics.cohorts == cohorts


@pytest.mark.parametrize("cluster", ["no-pending", "stale", "pods"])
def test_without_the_label_there_are_no_cohorts_and_nothing_is_said(reader_of: ReaderOf, cluster: str) -> None:
    metrics = reader_of(cluster).read(NOW)

    assert metrics.cohorts == {}
    assert [note for note in metrics.notes if "cohort" in note] == []


def test_a_prometheus_that_refuses_to_tell_cohorts_tells_demand_still(
    reader_of: ReaderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = Client.instant

    def refusing(client: Client, promql: str, at: datetime) -> tuple[Sample, ...]:
        if "by (cluster_queue, cohort)" in promql:
            raise QueryRefused("too many series")
        return instant(client, promql, at)

    monkeypatch.setattr(Client, "instant", refusing)
    metrics = reader_of("full").read(NOW)

    assert (metrics.cohorts, metrics.newest[RESEARCH]) == ({}, (32.0, 16.0))
    assert metrics.notes == ("cohorts are not known: too many series",)


def test_tells_the_age_of_the_newest_sample(reader_of: ReaderOf) -> None:
    metrics = reader_of("full").read(NOW + timedelta(seconds=100))

    assert metrics.age == timedelta(seconds=100)


def test_tells_the_true_age_of_samples_too_old_to_be_shown(reader_of: ReaderOf) -> None:
    metrics = reader_of("stale").read(NOW)

    assert metrics.source == "kueue"  # its pods are still watched, and would show half of the demand
    assert metrics.age == timedelta(minutes=47)
    assert metrics.newest == {}
    assert metrics.history.of(RESEARCH)[0] == 12.0


def test_says_that_pending_is_not_seen(reader_of: ReaderOf) -> None:
    metrics = reader_of("no-pending").read(NOW)

    assert metrics.newest == {RESEARCH: (8.0, 0.0)}
    assert not metrics.suspended_seen
    assert metrics.history.of(RESEARCH)[-1] == 8.0
    assert metrics.notes == (
        "kueue_cluster_queue_resource_pending is not in Prometheus (Kueue 0.18 or newer has it): "
        "pending GPUs count as 0",
    )


def test_says_where_the_history_begins(reader_of: ReaderOf) -> None:
    metrics = reader_of("fine", history="14d").read(NOW)

    assert metrics.notes == (
        "demand is seen only since 2026-02-28 10:00 UTC, 14d were asked for "
        "(Prometheus's retention, or metrics that are newer)",
    )


def test_reads_more_points_than_one_request_may_ask_for(reader_of: ReaderOf) -> None:
    history = reader_of("fine", history="50h", step="15s").read(NOW).history

    assert len(history.times) == 12_000
    assert (history.of(RESEARCH) == 12.0).all()


def test_reads_pods_where_kueue_is_absent(reader_of: ReaderOf) -> None:
    metrics = reader_of("pods", queue_label="team").read(NOW)

    assert metrics.source == "pods"
    assert not metrics.suspended_seen
    assert metrics.newest == {Line("vision", GPU): (5.0, 0.0), Line("speech", GPU): (0.0, 8.0)}
    assert metrics.notes[0].startswith("demand is read from pods (kube_pod_container_resource_requests), because")


def test_no_pod_is_zero_demand_while_pods_are_watched(reader_of: ReaderOf) -> None:
    history = reader_of("pods", queue_label="team").read(NOW).history

    waited = history.of(Line("speech", GPU))
    assert waited[0] == 0.0
    assert waited[-1] == 8.0
    assert not np.isnan(history.demand).any()


def test_the_namespace_is_the_queue_where_no_label_is_told(reader_of: ReaderOf) -> None:
    assert reader_of("pods").read(NOW).newest == {Line("lab", GPU): (5.0, 8.0)}


def test_reads_pools_of_ready_schedulable_nodes(reader_of: ReaderOf) -> None:
    metrics = reader_of("pods").read(NOW)

    assert metrics.pool_gpus == {"h100": 8.0}
    assert metrics.pool_idle_gpus == {"h100": 3.0}
    assert metrics.pool_nodes == {"h100": 1.0}


def test_reads_what_gpus_do_of_the_queue_whose_pod_holds_them(reader_of: ReaderOf) -> None:
    metrics = reader_of("pods", queue_label="team").read(NOW)

    assert metrics.utilisation == {"vision": 0.8}
    assert metrics.memory_share == {"vision": 0.75}
    assert metrics.watts == {"vision": 850.0}  # one whole GPU, and one of the two slices of another


def test_reads_requests_that_wait_per_model(reader_of: ReaderOf) -> None:
    assert reader_of("pods").read(NOW).inference_waiting == {"llama": 7.0, "tgi-mistral": 2.0}


def test_what_is_not_measured_is_absent(reader_of: ReaderOf) -> None:
    metrics = reader_of("full").read(NOW)

    assert metrics.utilisation == {}
    assert metrics.pool_gpus == {}
    assert metrics.inference_waiting == {}


def test_series_that_contradict_each_other_hide_only_what_they_tell(reader_of: ReaderOf) -> None:
    metrics = reader_of("torn").read(NOW)

    assert metrics.newest == {RESEARCH: (8.0, 0.0)}
    assert metrics.pool_gpus == {}
    assert any(note.startswith("pool_gpus is not known: Prometheus at") for note in metrics.notes)


def test_refuses_a_prometheus_without_demand(reader_of: ReaderOf) -> None:
    with pytest.raises(ObservationError) as caught:
        reader_of("nowhere").read(NOW)

    assert "holds no GPU demand: neither kueue_cluster_queue_resource_usage (set" in str(caught.value)
    assert "nor kube_pod_container_resource_requests (install kube-state-metrics) was found in 6h" in str(caught.value)


def test_checks_which_metrics_are_there(reader_of: ReaderOf) -> None:
    findings = {finding.need.name: finding for finding in reader_of("pods").preflight(NOW)}

    assert findings["kube_pod_status_phase"].found
    assert not findings["kueue_cluster_queue_resource_usage"].found
    assert not any(finding.blocking for finding in findings.values())
    assert findings["DCGM_FI_DEV_GPU_UTIL"].found
    assert not findings["DCGM_FI_PROF_GR_ENGINE_ACTIVE"].found


def test_checks_that_something_needed_is_missing(reader_of: ReaderOf) -> None:
    blocking = [finding.need.name for finding in reader_of("nowhere").preflight(NOW) if finding.blocking]

    assert blocking == [
        "kueue_cluster_queue_resource_usage",
        "kube_pod_container_resource_requests",
        "kube_pod_status_phase",
    ]


@pytest.mark.parametrize("label", ['team"} or vector(1) #', "team!=''", "ki\\nd", "Großes/Team"])
def test_a_label_in_the_settings_cannot_change_the_query(reader_of: ReaderOf, label: str) -> None:
    assert reader_of("pods", queue_label=label).read(NOW).newest == {}


def test_refuses_a_label_that_none_can_be() -> None:
    settings = PrometheusSettings(url="http://127.0.0.1:9", labels={'a="b"} or x{b': "c"})

    with pytest.raises(SettingsError, match="is no Prometheus label"):
        PrometheusReader(settings)


def test_trusts_the_authority_that_it_is_told_to(
    start_prometheus: Callable[..., PrometheusServer], tmp_path: Path
) -> None:
    certificate, key = self_signed(tmp_path)
    server = start_prometheus(web={"tls_server_config": {"cert_file": str(certificate), "key_file": str(key)}})

    def reader(**settings: object) -> PrometheusReader:
        return PrometheusReader(PrometheusSettings.model_validate({"url": server.url, "retries": 0, **settings}))

    with pytest.raises(PrometheusError, match=r"is not trusted .*; set prometheus\.ca_file"):
        reader().read(NOW)
    with pytest.raises(PrometheusError, match="speaks https, not http; write https://"):
        reader(url=server.url.replace("https:", "http:")).read(NOW)
    for trusting in ({"ca_file": certificate}, {"insecure_skip_verify": True}):
        with pytest.raises(ObservationError, match="holds no GPU demand"):
            reader(**trusting).read(NOW)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl not found; install Debian's package openssl")
    certificate, key = folder / "server.crt", folder / "server.key"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    whom = ["-subj", "/CN=prometheus", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*new, *whom, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def test_a_wrong_password_is_told(start_prometheus: Callable[..., PrometheusServer]) -> None:
    web = {"basic_auth_users": {"ops": "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"}}
    server = start_prometheus(web=web, login=("ops", "secret"))

    def reader(password: str) -> PrometheusReader:
        told = {"url": server.url, "username": "ops", "password": password, "retries": 0}
        return PrometheusReader(PrometheusSettings.model_validate(told))

    with pytest.raises(PrometheusError, match=r"wrong token or password \(401\)"):
        reader("wrong").read(NOW)
    with pytest.raises(ObservationError, match="holds no GPU demand"):
        reader("secret").read(NOW)
    server.stop()
    with pytest.raises(PrometheusError, match="cannot be reached"):
        reader("secret").read(NOW)
