"""Quantities are whole numbers, or are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.quantity import like, whole
from gyropilot.errors import LeftAlone


@pytest.mark.parametrize(
    ("raw", "value"), [("8", 8), (8, 8), ("8k", 8000), ("1Ki", 1024), ("8000m", 8), ("1e3", 1000), ("0", 0), ("-3", -3)]
)
def test_reads_a_quantity_as_a_whole_number(raw: object, value: int) -> None:
    assert whole(raw) == value


@pytest.mark.parametrize("raw", ["500m", "0.5", "7.25"])
def test_leaves_fractions_alone(raw: str) -> None:
    with pytest.raises(LeftAlone, match="not a whole number"):
        whole(raw)


@pytest.mark.parametrize("raw", ["lots", "", None, {}, True, "8 GPUs"])
def test_leaves_alone_what_is_no_quantity(raw: object) -> None:
    with pytest.raises(LeftAlone, match="no quantity"):
        whole(raw)


@pytest.mark.parametrize("raw", ["NaN", "Infinity"])
def test_leaves_alone_what_only_looks_like_a_number(raw: str) -> None:
    with pytest.raises(LeftAlone, match="not a whole number"):
        whole(raw)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_writes_a_value_so_that_it_reads_back(value: int) -> None:
    assert whole(like("16", value)) == value
    assert whole(like(16, value)) == value


def test_writes_a_string_for_a_string_and_a_number_for_a_number() -> None:
    assert like("16", 12) == "12"
    assert like(16, 12) == 12
