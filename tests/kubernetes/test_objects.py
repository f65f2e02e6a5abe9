"""What a pod needs, as the scheduler counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gyropilot.kubernetes.objects import Owner, owner, parse_time, pod_needs

GPU = "nvidia.com/gpu"


def container(gpus: int, **more: Any) -> dict[str, Any]:
    return {"resources": {"limits": {GPU: str(gpus), "cpu": "4"}}, **more}


def test_sums_containers() -> None:
    assert pod_needs({"containers": [container(2), container(1), {}]}) == {GPU: 3}


def test_takes_limits_where_no_request_is_told() -> None:
    told = {"resources": {"requests": {"cpu": "1"}, "limits": {GPU: "4"}}}

    assert pod_needs({"containers": [told]}) == {GPU: 4}


def test_an_init_container_counts_only_where_it_needs_more() -> None:
    spec = {"containers": [container(2)], "initContainers": [container(3), container(1)]}

    assert pod_needs(spec) == {GPU: 3}


def test_a_sidecar_counts_beside_the_containers() -> None:
    spec = {"containers": [container(2)], "initContainers": [container(1, restartPolicy="Always")]}

    assert pod_needs(spec) == {GPU: 3}


def test_an_init_container_runs_beside_the_sidecars_before_it() -> None:
    sidecar = container(1, restartPolicy="Always")

    assert pod_needs({"containers": [container(2)], "initContainers": [sidecar, container(4)]}) == {GPU: 5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T11:00:00+01:00", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("2026-03-02T10:00:00", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
    ],
)
def test_reads_times_as_utc(text: str | None, expected: datetime | None) -> None:
    assert parse_time(text) == expected


def test_the_controller_owns() -> None:
    others = {"kind": "Node", "name": "n", "uid": "1"}
    controller = {"kind": "Job", "name": "train", "uid": "2", "controller": True}

    assert owner({"ownerReferences": [others, controller]}) == Owner("Job", "train", "2")
    assert owner({}) is None
