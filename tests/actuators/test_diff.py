"""What changed is said by path, with names rather than positions, and without the server's book-keeping."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actuators.diff import diff

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def flavors(*quotas: tuple[str, str]) -> dict[str, Any]:
    return {"spec": {"flavors": [{"name": name, "nominalQuota": quota} for name, quota in quotas]}}


def test_names_list_items_by_their_name() -> None:
    before, after = flavors(("a100", "8"), ("h100", "16")), flavors(("a100", "8"), ("h100", "12"))

    assert diff(before, after) == "spec.flavors[h100].nominalQuota: 16 → 12"


def test_numbers_list_items_whose_names_are_not_unique() -> None:
    before, after = flavors(("h100", "8"), ("h100", "16")), flavors(("h100", "8"), ("h100", "12"))

    assert diff(before, after) == "spec.flavors[1].nominalQuota: 16 → 12"


def test_puts_keys_with_slashes_into_brackets() -> None:
    before, after = ({"spec": {"limits": {"nvidia.com/gpu": value}}} for value in ("64", "72"))

    assert diff(before, after) == "spec.limits[nvidia.com/gpu]: 64 → 72"


def test_shows_what_a_webhook_added_and_removed() -> None:
    before = {"metadata": {"annotations": {"team": "a"}}, "spec": {"active": True}}
    after = {"metadata": {"annotations": {"seen-by": "webhook"}}, "spec": {"active": False}}

    assert diff(before, after).splitlines() == [
        "metadata.annotations.team: a → absent",
        "spec.active: true → false",
        "metadata.annotations.seen-by: absent → webhook",
    ]


def test_a_number_and_the_same_number_as_a_string_are_no_change() -> None:
    assert diff({"spec": {"nominalQuota": "16"}}, {"spec": {"nominalQuota": 16}}) == ""


def test_status_and_book_keeping_say_nothing() -> None:
    before = {"metadata": {"resourceVersion": "1", "generation": 1, "managedFields": [1]}, "status": {"pending": 1}}
    after = {"metadata": {"resourceVersion": "2", "generation": 2, "managedFields": [2]}, "status": {"pending": 0}}

    assert diff(before, after) == ""


def test_a_scale_that_leaves_out_its_zero_says_zero() -> None:
    before: dict[str, Any] = {"kind": "Scale", "spec": {}}
    after = {"kind": "Scale", "spec": {"replicas": 3}}

    assert diff(before, after) == "spec.replicas: 0 → 3"


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_nothing_differs_from_itself(document: Any) -> None:
    assert diff({"spec": document}, {"spec": document}) == ""


@settings(deadline=None)
@given(st.integers(), st.integers())
def test_a_changed_value_is_always_told(before: int, after: int) -> None:
    told = diff({"spec": {"replicas": before}}, {"spec": {"replicas": after}})

    assert told == ("" if before == after else f"spec.replicas: {before} → {after}")
