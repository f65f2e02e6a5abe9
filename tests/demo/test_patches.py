from typing import Any

import pytest

from gyropilot.demo.patches import PatchError, json_patched, merge_patched

QUEUE = {"spec": {"flavors": [{"name": "a", "quota": "8"}, {"name": "b", "quota": "4"}], "stopPolicy": "None"}}


def test_replaces_what_a_test_found_as_expected() -> None:
    patch = [
        {"op": "test", "path": "/spec/flavors/1/quota", "value": "4"},
        {"op": "replace", "path": "/spec/flavors/1/quota", "value": "6"},
    ]

    assert json_patched(QUEUE, patch)["spec"]["flavors"][1]["quota"] == "6"
    assert QUEUE["spec"]["flavors"][1] == {"name": "b", "quota": "4"}


def test_refuses_when_a_test_finds_something_else() -> None:
    patch = [{"op": "test", "path": "/spec/flavors/1/quota", "value": "5"}]

    with pytest.raises(PatchError, match="testing value /spec/flavors/1/quota failed"):
        json_patched(QUEUE, patch)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "/spec/absent", "value": 1},
        {"op": "remove", "path": "/spec/flavors/2"},
        {"op": "replace", "path": "/spec/flavors/first/name", "value": 1},
        {"op": "test", "path": "/spec/stopPolicy/deeper/still", "value": 1},
        {"op": "add", "path": "/spec/flavors/7", "value": {}},
        {"op": "move", "path": "/spec", "from": "/status"},
    ],
)
def test_refuses_what_does_not_fit(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        json_patched(QUEUE, [operation])


def test_adds_keys_with_slashes_and_ends_of_lists() -> None:
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/spec/nvidia.com~1gpu", "value": "8"},
        {"op": "add", "path": "/spec/flavors/-", "value": {"name": "c"}},
        {"op": "remove", "path": "/spec/stopPolicy"},
    ]

    changed = json_patched(QUEUE, patch)["spec"]

    assert changed["nvidia.com/gpu"] == "8"
    assert [flavor["name"] for flavor in changed["flavors"]] == ["a", "b", "c"]
    assert "stopPolicy" not in changed


def test_a_merge_patch_merges_maps_replaces_lists_and_removes_nulls() -> None:
    changed = merge_patched(QUEUE, {"spec": {"flavors": [], "stopPolicy": None, "active": {"now": True}}})

    assert changed == {"spec": {"flavors": [], "active": {"now": True}}}
    assert QUEUE["spec"]["stopPolicy"] == "None"
