"""Which resources are accelerators, what model they are, and what share of a device one unit is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gyropilot.domain import Accelerator
from gyropilot.kubernetes.quantity import whole

_WHOLE = (
    "nvidia.com/gpu",
    "nvidia.com/gpu.shared",
    "amd.com/gpu",
    "google.com/tpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neurondevice",
    "aws.amazon.com/neuroncore",
    "habana.ai/gaudi",
    # The plug-in also offers gpu.intel.com/tiles, /millicores and /memory.max: views of the same devices.
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
)
_MIG = re.compile(r"^nvidia\.com/mig-(?:(?P<compute>\d)c\.)?(?P<slices>\d)g\.")
_MIG_MODEL = re.compile(r"-MIG-(?:(?P<compute>\d)c\.)?(?P<slices>\d)g\.[^-]*")
_SLICES = 7  # compute slices of a device that supports MIG
_SHARED = "-SHARED"
_MODEL_LABELS = (
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "beta.amd.com/gpu.product-name",
    "gpu.intel.com/product",
    "cloud.google.com/gke-tpu-accelerator",
    "cloud.google.com/gke-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-accelerator-name",
    "k8s.amazonaws.com/accelerator",
)
# One Trainium node offers its devices under all three names: the first one counts.
_SAME_DEVICES = ("aws.amazon.com/neuron", "aws.amazon.com/neurondevice", "aws.amazon.com/neuroncore")


def is_accelerator(resource: str) -> bool:
    """Whether a resource name is an accelerator's."""
    return resource in _WHOLE or _MIG.match(resource) is not None


def accelerators(resources: Mapping[str, str]) -> dict[str, int]:
    """Units of each accelerator resource in a resource list; none that is zero."""
    found = {name: whole(count) for name, count in resources.items() if is_accelerator(name)}
    return {name: count for name, count in found.items() if count > 0}


def offered(resources: Mapping[str, str]) -> dict[str, int]:
    """What a node offers: as `accelerators`, each device counted under one name only."""
    found = accelerators(resources)
    first = next((name for name in _SAME_DEVICES if name in found), None)
    return {name: count for name, count in found.items() if name == first or name not in _SAME_DEVICES}


def accelerator(resource: str, labels: Mapping[str, str]) -> Accelerator:
    """The accelerator that a node with these labels offers as `resource`."""
    told = next((labels[label] for label in _MODEL_LABELS if labels.get(label)), "")
    model = _MIG_MODEL.sub("", told.removesuffix(_SHARED))
    return Accelerator(resource, model, _share(resource, told, labels))


def _share(resource: str, model: str, labels: Mapping[str, str]) -> float:
    slice_of = _MIG.match(resource) or (_MIG_MODEL.search(model) if resource.startswith("nvidia.com/gpu") else None)
    part = int(slice_of["compute"] or slice_of["slices"]) / _SLICES if slice_of else 1.0
    shared = resource == "nvidia.com/gpu.shared" or (resource == "nvidia.com/gpu" and model.endswith(_SHARED))
    return part / max(1, whole(labels.get("nvidia.com/gpu.replicas"))) if shared else part
