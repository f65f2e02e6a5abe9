"""All PromQL, each query named after what it answers.

Kueue's gauges are read as they are and folded in `demand.py`, not by `max by` here: Prometheus spends ten times as
long on aggregating four weeks of them as on reading them. Everything else is folded by Prometheus, in the same way:
`max` over what tells replicas of an exporter apart (two kube-state-metrics, Kueue's followers), then `sum` over what
is asked. A sanitised resource name is kube-state-metrics' `nvidia_com_gpu` for `nvidia.com/gpu`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gyropilot.errors import SettingsError

KUEUE_RUNNING = "kueue_cluster_queue_resource_usage"
KUEUE_PENDING = "kueue_cluster_queue_resource_pending"
KUEUE_QUOTA = "kueue_cluster_queue_nominal_quota"
POD_REQUESTS = "kube_pod_container_resource_requests"
POD_PHASE = "kube_pod_status_phase"
POD_LABELS = "kube_pod_labels"
NODE_ALLOCATABLE = "kube_node_status_allocatable"
NODE_CONDITION = "kube_node_status_condition"
NODE_CORDONED = "kube_node_spec_unschedulable"
NODE_LABELS = "kube_node_labels"
GPU_UTILISATION = "DCGM_FI_DEV_GPU_UTIL"  # %; absent on MIG
GPU_ENGINE_ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"  # 0..1; whole GPUs and MIG
GPU_MEMORY_USED = "DCGM_FI_DEV_FB_USED"  # MiB
GPU_MEMORY_FREE = "DCGM_FI_DEV_FB_FREE"  # MiB
GPU_POWER = "DCGM_FI_DEV_POWER_USAGE"  # W, of the whole device on each of its MIG instances
INFERENCE_WAITING = (
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "tgi_queue_size",
    "nv_inference_pending_request_count",
)

_WHOLE = (
    "nvidia.com/gpu",
    "nvidia.com/gpu.shared",
    "amd.com/gpu",
    "google.com/tpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "aws.amazon.com/neurondevice",
    "habana.ai/gaudi",
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
)
_MIG = "nvidia.com/mig-"

POOL_LABELS = (
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "alpha.eksctl.io/nodegroup-name",
    "cluster.x-k8s.io/deployment-name",
    "cluster.x-k8s.io/pool-name",
    "node.cluster.x-k8s.io/deployment-name",
    "oci.oraclecloud.com/node-pool-name",
    "doks.digitalocean.com/node-pool",
    "nodepool.openshift.io/name",
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
)
"""Node labels that name the pool, in the order in which the Kubernetes reader takes them; the GPU's model last."""

KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/cluster-queue-name"


@dataclass(frozen=True, slots=True)
class MetricNeed:
    """One metric that is read: what it answers, whether nothing goes without it, and how to have it."""

    name: str
    answers: str
    required: bool
    fix: str
    instead: str = ""  # another metric that answers the same where this one is missing


KUEUE_FIX = "set `metrics.enableClusterQueueResources: true` in Kueue's configuration and scrape it with a bearer token"
POD_LABEL_FIX = (
    "start kube-state-metrics with `--metric-labels-allowlist=pods=[kueue.x-k8s.io/cluster-queue-name]`, "
    "or the label of prometheus.queue_label"
)
_KSM_FIX = "install kube-state-metrics and scrape it with `honor_labels: true`"
_DCGM_FIX = "install dcgm-exporter with DCGM_EXPORTER_KUBERNETES=true"
_SERVING_FIX = "scrape the inference servers, where there are any"

METRICS = (
    MetricNeed(KUEUE_RUNNING, "GPUs that each queue runs", True, KUEUE_FIX, POD_REQUESTS),
    MetricNeed(KUEUE_PENDING, "GPUs that each queue waits for", False, f"{KUEUE_FIX}; Kueue 0.18 or newer"),
    MetricNeed(KUEUE_QUOTA, "quota of each queue", False, KUEUE_FIX),
    MetricNeed(POD_REQUESTS, "GPUs that pods run and wait for", True, _KSM_FIX, KUEUE_RUNNING),
    MetricNeed(POD_PHASE, "which pods are alive", True, _KSM_FIX, KUEUE_RUNNING),
    MetricNeed(
        POD_LABELS,
        "which queue a pod belongs to",
        False,
        POD_LABEL_FIX,
    ),
    MetricNeed(NODE_ALLOCATABLE, "GPUs of each pool", False, _KSM_FIX),
    MetricNeed(NODE_CONDITION, "which nodes are ready", False, _KSM_FIX),
    MetricNeed(NODE_CORDONED, "which nodes are cordoned", False, _KSM_FIX),
    MetricNeed(
        NODE_LABELS,
        "which pool a node belongs to",
        False,
        "start kube-state-metrics with `--metric-labels-allowlist=nodes=[karpenter.sh/nodepool,…]`",
    ),
    MetricNeed(GPU_UTILISATION, "how busy GPUs are", False, _DCGM_FIX, GPU_ENGINE_ACTIVE),
    MetricNeed(GPU_ENGINE_ACTIVE, "how busy GPUs and MIG slices are", False, _DCGM_FIX, GPU_UTILISATION),
    MetricNeed(GPU_MEMORY_USED, "how much GPU memory is used", False, _DCGM_FIX),
    MetricNeed(GPU_MEMORY_FREE, "how much GPU memory is free", False, _DCGM_FIX),
    MetricNeed(GPU_POWER, "what GPUs draw", False, _DCGM_FIX),
    *(MetricNeed(name, "inference requests that wait", False, _SERVING_FIX) for name in INFERENCE_WAITING),
)


def raw_resource(sanitised: str) -> str:
    """`nvidia.com/mig-1g.10gb` for kube-state-metrics' `nvidia_com_mig_1g_10gb`; others as they are."""
    prefix = _sanitised(_MIG)
    if sanitised.startswith(prefix):
        return _MIG + sanitised[len(prefix) :].replace("_", ".")
    return next((name for name in _WHOLE if _sanitised(name) == sanitised), sanitised)


def exported_label(kubernetes_label: str) -> str:
    """The Prometheus label of kube-state-metrics for a Kubernetes label: `label_cost_center` for `costCenter`."""
    snake = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", _sanitised(kubernetes_label))
    return "label_" + snake.lower()


def quoted(text: str) -> str:
    """A PromQL string that means exactly `text`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _sanitised(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def _any_of(names: Iterable[str]) -> str:
    """A PromQL regular expression, quoted, for any of these names."""
    return quoted("|".join(map(_literal, names)))


def _literal(name: str) -> str:
    return name.replace(".", r"\.")


def _named(series: str, label: str, source: str) -> str:
    """The series with one label copied from another, where that one is not empty."""
    return f'label_replace({series}, "{label}", "$1", "{source}", "(.+)")'


_RAW = f"resource=~{quoted('|'.join([*map(_literal, _WHOLE), _literal(_MIG) + '.+']))}"
_SANITISED = f"resource=~{quoted('|'.join([*map(_sanitised, _WHOLE), _sanitised(_MIG) + '.+']))}"
_ONCE = 'resource!~"aws_amazon_com_neuron.+"'  # nodes offer the devices of `neuron` under two more names
_POD = "namespace, pod, uid"
_BOUND, _UNBOUND = 'node!=""', 'node=""'
_ALIVE = 'phase=~"Pending|Running"'
_READY = ('condition="Ready"', 'status="true"')


@dataclass(frozen=True, slots=True)
class Queries:
    """The questions, put to the series that carry `labels` (one cluster of a store that holds several)."""

    labels: Mapping[str, str]
    queue_label: str = ""  # of pods, as Kubernetes spells it; empty: Kueue's own, else the namespace
    pool_label: str = ""  # of nodes, as Kubernetes spells it; empty: the first of POOL_LABELS that a node carries

    def __post_init__(self) -> None:
        for name in self.labels:
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
                raise SettingsError(
                    f"prometheus.labels: {name!r} is no Prometheus label; take letters, digits and _, e.g. `cluster`"
                )

    def series(self, metric: str, *matchers: str) -> str:
        """One metric as it is stored."""
        own = [f"{name}={quoted(value)}" for name, value in sorted(self.labels.items())]
        return f"{metric}{{{', '.join([*matchers, *own])}}}"

    # Kueue: one series per replica of its manager, queue, flavor and resource.

    def kueue_running_gpus(self) -> str:
        """GPUs admitted, per cluster_queue, flavor and raw resource name."""
        return self.series(KUEUE_RUNNING, _RAW)

    def kueue_pending_gpus(self) -> str:
        """GPUs asked for and not admitted, per cluster_queue and raw resource name; 0 is exported too."""
        return self.series(KUEUE_PENDING, _RAW)

    def kueue_quota_gpus(self) -> str:
        """Nominal quota, per cluster_queue, flavor and raw resource name."""
        return self.series(KUEUE_QUOTA, _RAW)

    def kueue_cohorts(self, within_s: int) -> str:
        """When each pair of cluster_queue and cohort was last sampled; of a queue in no cohort the cohort is absent.

        Looks back `within_s`, further than Prometheus does on its own; what is shown now is told to the moment.
        """
        sampled = f"timestamp({self.kueue_running_gpus()})"
        return f"max by (cluster_queue, cohort) ({sampled} or max_over_time({sampled}[{within_s}s:15s]))"

    # Pods, by kube-state-metrics. Its series of a pod stay until the pod is deleted: each question joins the phase.

    def pod_running_gpus(self) -> str:
        """GPUs of pods that hold a node, per queue and sanitised resource name: taken even while images are pulled."""
        return self._gpus_by_queue(_BOUND)

    def pod_pending_gpus(self) -> str:
        """GPUs of pods that wait for a node, per queue and sanitised resource name."""
        return self._gpus_by_queue(_UNBOUND)

    def pods_running(self) -> str:
        """1 per pod that runs, with or without GPUs: always some while kube-state-metrics is scraped."""
        return self.series(POD_PHASE, 'phase="Running"')

    def pods_seen(self) -> str:
        """Number of pods that kube-state-metrics knows: where it is absent, no demand is not zero demand."""
        return f"count({self.pods_running()})"

    def _gpus_by_queue(self, node: str) -> str:
        gpus = f"{self._pod_requests(node)} * on ({_POD}) group_left (queue) ({self._queue_of_pod()})"
        return f"sum by (queue, resource) ({gpus})"

    def _pod_requests(self, node: str) -> str:
        """GPUs per live or dead pod and resource."""
        once = f"max by ({_POD}, node, container, resource) ({self.series(POD_REQUESTS, _SANITISED, node)})"
        return f"sum by ({_POD}, node, resource) ({once})"

    def _alive(self) -> str:
        """1 per pod that holds or will hold its GPUs."""
        return f"max by ({_POD}) ({self.series(POD_PHASE, _ALIVE)} == 1)"

    def _queue_of_pod(self) -> str:
        """1 per live pod, with its queue: its label; where no label is told, Kueue's, else the namespace."""
        labelled = f"{self._labelled_pods()} and on ({_POD}) {self._alive()}"
        if self.queue_label:
            return labelled
        return f"({labelled}) or on ({_POD}) {_named(self._alive(), 'queue', 'namespace')}"

    def _labelled_pods(self) -> str:
        """1 per pod that carries the queue's label, with its queue."""
        label = exported_label(self.queue_label or KUEUE_QUEUE_LABEL)
        pods = self.series(POD_LABELS, f'{label}!=""')
        return f"max by ({_POD}, queue) ({_named(pods, 'queue', label)})"

    # Nodes, by kube-state-metrics.

    def pool_gpus(self) -> str:
        """Allocatable GPUs on ready, schedulable nodes, per pool."""
        return self._by_pool("sum", self._usable(self._allocatable()))

    def pool_idle_gpus(self) -> str:
        """GPUs on ready, schedulable nodes that no live pod asks for, per pool."""
        pods = f"{self._pod_requests(_BOUND)} * on ({_POD}) group_left () {self._alive()}"
        requested = f"sum by (node) ({pods}) or on (node) {self._allocatable()} * 0"
        return self._by_pool("sum", self._usable(f"({self._allocatable()} - on (node) ({requested}))"))

    def pool_nodes(self) -> str:
        """Ready, schedulable nodes with GPUs, per pool."""
        return self._by_pool("count", self._usable(f"({self._allocatable()} > 0)"))

    def _allocatable(self) -> str:
        """GPUs per node."""
        once = f"max by (node, resource) ({self.series(NODE_ALLOCATABLE, _SANITISED, _ONCE)})"
        return f"sum by (node) ({once})"

    def _usable(self, by_node: str) -> str:
        ready = f"max by (node) ({self.series(NODE_CONDITION, *_READY)} == 1)"
        cordoned = f"max by (node) ({self.series(NODE_CORDONED)} == 1)"
        return f"({by_node} and on (node) {ready} unless on (node) {cordoned})"

    def _by_pool(self, fold: str, by_node: str) -> str:
        return f"{fold} by (pool) ({by_node} * on (node) group_left (pool) ({self._pool_of_node()}))"

    def _pool_of_node(self) -> str:
        """1 per node, with its pool: of the label told, else the first of POOL_LABELS that it carries."""
        told = (self.pool_label,) if self.pool_label else ()
        return " or on (node) ".join(self._labelled_nodes(exported_label(name)) for name in (*told, *POOL_LABELS))

    def _labelled_nodes(self, label: str) -> str:
        nodes = self.series(NODE_LABELS, f'{label}!=""')
        return f"max by (node, pool) ({_named(nodes, 'pool', label)})"

    # GPUs, by dcgm-exporter. A device is known by its UUID, so that `Hostname` or `hostname` is all the same.

    def gpu_utilisation(self) -> str:
        """How busy the GPUs of each queue are, 0..1: engine activity where it is exported, else utilisation."""
        active, coarse = self._instances(GPU_ENGINE_ACTIVE), f"{self._instances(GPU_UTILISATION)} / 100"
        return f"avg by (queue) ({self._with_queue(f'({active} or {coarse})')})"

    def gpu_memory_share(self) -> str:
        """Used share of the memory of each queue's GPUs, 0..1."""
        used, free = (
            f"sum by (queue) ({self._with_queue(self._instances(metric))})"
            for metric in (GPU_MEMORY_USED, GPU_MEMORY_FREE)
        )
        return f"{used} / ({used} + {free})"

    def gpu_watts(self) -> str:
        """What the GPUs of each queue draw: of a device cut into MIG slices, each slice's pod bears an equal part."""
        instances = self._instances(GPU_POWER)
        part = f"({instances} / on (UUID) group_left () count by (UUID) ({instances}))"
        return f"sum by (queue) ({self._with_queue(part)})"

    def _instances(self, metric: str) -> str:
        """One value per GPU or MIG slice with its pod, whose labels the scrape may have kept or renamed."""
        renamed = self.series(metric, 'exported_pod!=""')
        for label in ("pod", "namespace"):
            renamed = _named(renamed, label, f"exported_{label}")
        kept = self.series(metric, 'exported_pod=""')
        return f"max by (namespace, pod, UUID, GPU_I_ID) ({renamed} or {kept})"

    def _with_queue(self, by_instance: str) -> str:
        """With the queue of the pod, where that pod asked for GPUs: an idle GPU names the exporter's own pod."""
        asks = f"{self._pod_requests(_BOUND)} * on ({_POD}) group_left (queue) ({self._queue_of_pod()})"
        pods = f"max by (namespace, pod, queue) ({asks} > bool 0)"
        return f"{by_instance} * on (namespace, pod) group_left (queue) {pods}"

    # Inference.

    def inference_waiting(self) -> str:
        """Requests that wait, per model served: by vLLM, SGLang, Triton, or TGI (which names no model: its job)."""
        served = self.series("", f"__name__=~{_any_of(INFERENCE_WAITING)}")
        for label in ("job", "model", "model_name"):
            served = _named(served, "served", label)
        return f"sum by (served) ({served})"

    # What is there, and how old it is.

    def newest_sample(self, series: str) -> str:
        """When the newest of these samples was taken, in seconds since the epoch."""
        return f"max(timestamp({series}))"

    def seen_within(self, series: str, window_s: int) -> str:
        """Number of these series that had a sample within a window of time."""
        return f"count(last_over_time({series}[{window_s}s:5m]))"

    def last_sample(self, series: str, within_s: int) -> str:
        """The same, looking further back than Prometheus does on its own, and past the moment a target vanished."""
        return f"max(max_over_time(timestamp({series})[{within_s}s:5s]))"

    def found(self, names: tuple[str, ...]) -> str:
        """Number of series by __name__, of those that are there."""
        return f"count by (__name__) ({self.series('', f'__name__=~{_any_of(names)}')})"
