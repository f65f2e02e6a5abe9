"""Any accelerator, known by its resource name."""

from __future__ import annotations

import pytest

from gyropilot.domain import Accelerator
from gyropilot.errors import KubernetesError
from gyropilot.kubernetes.accelerators import accelerator, accelerators, is_accelerator, offered
from gyropilot.kubernetes.quantity import amount, whole

PRODUCT = "nvidia.com/gpu.product"


@pytest.mark.parametrize(
    "resource",
    [
        "nvidia.com/gpu",
        "nvidia.com/mig-1g.10gb",
        "nvidia.com/mig-1c.3g.40gb",
        "amd.com/gpu",
        "google.com/tpu",
        "aws.amazon.com/neuron",
        "habana.ai/gaudi",
        "gpu.intel.com/xe",
    ],
)
def test_knows_accelerators_by_name(resource: str) -> None:
    assert is_accelerator(resource)


@pytest.mark.parametrize(
    "resource", ["cpu", "memory", "nvidia.com/mig.config", "gpu.intel.com/tiles", "example.com/gpu"]
)
def test_takes_nothing_else_for_an_accelerator(resource: str) -> None:
    assert not is_accelerator(resource)


@pytest.mark.parametrize(
    ("resource", "labels", "expected"),
    [
        ("nvidia.com/gpu", {PRODUCT: "NVIDIA-H100-80GB-HBM3"}, ("NVIDIA-H100-80GB-HBM3", 1.0)),
        ("nvidia.com/mig-3g.40gb", {PRODUCT: "NVIDIA-H100-80GB-HBM3"}, ("NVIDIA-H100-80GB-HBM3", 3 / 7)),
        ("nvidia.com/mig-1c.3g.40gb", {}, ("", 1 / 7)),
        ("nvidia.com/gpu", {PRODUCT: "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb"}, ("NVIDIA-A100-SXM4-80GB", 1 / 7)),
        ("nvidia.com/gpu", {PRODUCT: "Tesla-T4-SHARED", "nvidia.com/gpu.replicas": "4"}, ("Tesla-T4", 0.25)),
        ("nvidia.com/gpu.shared", {PRODUCT: "Tesla-T4", "nvidia.com/gpu.replicas": "2"}, ("Tesla-T4", 0.5)),
        (
            "nvidia.com/gpu",
            {PRODUCT: "NVIDIA-A100-MIG-1g.5gb-SHARED", "nvidia.com/gpu.replicas": "2"},
            ("NVIDIA-A100", 1 / 14),
        ),
        ("amd.com/gpu", {"amd.com/gpu.product-name": "AMD_Instinct_MI300X"}, ("AMD_Instinct_MI300X", 1.0)),
        ("google.com/tpu", {"cloud.google.com/gke-tpu-accelerator": "tpu-v5p-slice"}, ("tpu-v5p-slice", 1.0)),
    ],
)
def test_tells_model_and_share_of_a_device(resource: str, labels: dict[str, str], expected: tuple[str, float]) -> None:
    assert accelerator(resource, labels) == Accelerator(resource, *expected)


def test_leaves_out_what_is_zero_or_no_accelerator() -> None:
    assert accelerators({"cpu": "192", "nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": "7"}) == {
        "nvidia.com/mig-1g.10gb": 7
    }


def test_counts_a_device_under_one_name_only() -> None:
    names = {"aws.amazon.com/neurondevice": "16", "aws.amazon.com/neuron": "16", "aws.amazon.com/neuroncore": "32"}

    assert offered(names) == {"aws.amazon.com/neuron": 16}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("8", 8.0), (8, 8.0), ("8k", 8000.0), ("1e3", 1000.0), ("500m", 0.5), ("1Ki", 1024.0), (None, 0.0)],
)
def test_reads_quantities_exactly(raw: str | int | None, expected: float) -> None:
    assert amount(raw) == expected


def test_half_a_gpu_is_none() -> None:
    assert whole("1500m") == 1


def test_refuses_what_is_no_quantity() -> None:
    with pytest.raises(KubernetesError, match="'many'"):
        amount("many")
