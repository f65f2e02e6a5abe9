"""The control planes that tests share: each is started once a session, when the first test asks for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.controlplane import parts
from tests.controlplane.plane import ControlPlane
from tests.controlplane.site import missing

FULL = tuple(parts.COMMANDS)
FULL_PROGRAMS = (
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "kueue",
    "karpenter-kwok",
    "kube-state-metrics",
    "kwok-stages.yaml",
    "instance-types.json",
    "manifests",
)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and the API server with the kinds of Kueue and Karpenter, which do not run. Shared: name things apart."""
    if why := missing("manifests"):
        pytest.skip(why)
    plane = ControlPlane.started(tmp_path_factory.mktemp("plane"))
    try:
        plane.install_crds("kueue", "karpenter")
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def clean_plane(control_plane: ControlPlane) -> ControlPlane:
    """The shared plane, emptied of nodes, pods, queues and workloads first."""
    control_plane.wipe()
    return control_plane


@pytest.fixture(scope="session")
def full_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Everything runs: controllers, scheduler, kwok, Kueue, Karpenter, kube-state-metrics and a Prometheus."""
    if why := missing(*FULL_PROGRAMS) or _missing_prometheus() or _missing_rights():
        pytest.skip(why)
    plane = ControlPlane.started(tmp_path_factory.mktemp("full-plane"), FULL)
    try:
        yield plane
    finally:
        plane.stop()


def _missing_prometheus() -> str | None:
    return None if shutil.which("prometheus") else "install prometheus (apt-get install prometheus)"


def _missing_rights() -> str | None:
    """Kueue's manager reads certificates from fixed places; they must be there, or be ours to write."""
    for place in parts.KUEUE_FIXED_CERTS:
        nearest = next(folder for folder in (place, *place.parents) if folder.exists())
        if not (place / "tls.key").exists() and not os.access(nearest, os.W_OK):
            return f"put tls.crt and tls.key into {place}, where Kueue's manager reads them"
    return None
