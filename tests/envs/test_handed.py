"""Tuples of arrays that loops hand on by address."""

from __future__ import annotations

import gc
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core import types
from numpy.typing import NDArray

from envs.compiled.handed import Address, handed, handed_one, one
from envs.compiled.laid import laid
from envs.compiled.lean import lean
from forecasting.compiled.loops import compiled

Floats = NDArray[np.float64]


class Prices(NamedTuple):
    per_hour: Floats
    scale: int


class Shop(NamedTuple):
    prices: Prices
    sold: Floats


class Town(NamedTuple):
    shop: Shop
    fair: Prices | None


def town(fair: Prices | None = None) -> Town:
    """Of two days."""
    return Town(Shop(Prices(np.array([[1.0, 2.0], [3.0, 4.0]]), 10), np.zeros((2, 2))), fair)


@lean
def _sell(shop: Shop, more: float) -> None:
    for nth in range(len(shop.sold)):
        shop.sold[nth] += shop.prices.per_hour[nth] * shop.prices.scale + more


@lean
def _priced(fair: Prices | None) -> float:
    total = 0.0
    if fair is not None:
        for nth in range(len(fair.per_hour)):
            total += fair.per_hour[nth] * fair.scale
    return total


@lean
def _day(place: Town, more: float) -> float:
    _sell(place.shop, more)
    return _priced(place.fair)


@compiled
def of_one(places: Town, day: int, more: float) -> float:
    return _of_one(places, day, more)


@compiled
def of_one_laid(places: Town, day: int, more: float) -> float:
    return _of_one(places, day, more)


@lean
def _of_one(places: Town, day: int, more: float) -> float:
    return _day(handed_one(places, day), more)


@compiled
def of_each(places: Town, more: float) -> None:
    _of_each(places, more)


@lean
def _of_each(places: Town, more: float) -> None:
    for day in range(2):
        _day(handed_one(places, day), more)


@compiled
def of_this(place: Town, more: float) -> float:
    return _of_this(place, more)


@lean
def _of_this(place: Town, more: float) -> float:
    return _day(handed(place), more)


def test_what_a_loop_writes_into_a_handed_tuple_stands_in_the_callers_arrays() -> None:
    place = one(town(), 1)

    of_this(place, 0.5)

    assert place.shop.sold.tolist() == [30.5, 40.5]


def test_one_of_several_is_handed_on_alone() -> None:
    places = town()

    of_one(places, 1, 0.0)

    assert places.shop.sold.tolist() == [[0.0, 0.0], [30.0, 40.0]]


def test_each_turn_of_a_loop_hands_on_its_own() -> None:
    places = town()

    of_each(places, 1.0)

    assert places.shop.sold.tolist() == [[11.0, 21.0], [31.0, 41.0]]


def test_a_part_that_is_not_there_stays_none() -> None:
    fair = Prices(np.array([[1.0, 1.0], [2.0, 3.0]]), 2)

    assert of_one(town(), 1, 0.0) == 0.0
    assert of_one(town(fair), 1, 0.0) == 10.0


def test_one_of_several_has_views_into_the_same_arrays() -> None:
    places = town()

    one(places, 0).shop.sold[:] = 7.0

    assert places.shop.sold.tolist() == [[7.0, 7.0], [0.0, 0.0]]


def test_a_lean_loop_is_plain_python_where_python_calls_it() -> None:
    place = one(town(), 0)

    _sell(place.shop, 0.0)

    assert place.shop.sold.tolist() == [10.0, 20.0]


def test_addresses_of_two_classes_that_print_alike_are_told_apart() -> None:
    of: Any = types.BaseTuple.from_types
    ours, theirs = (NamedTuple("Price", [("usd", float)]) for _ in range(2))

    one_of_ours, another, one_of_theirs = (Address(of((types.float64,), kind)) for kind in (ours, ours, theirs))

    assert str(one_of_ours) == str(one_of_theirs)
    assert one_of_ours == another
    assert one_of_ours != one_of_theirs


@pytest.mark.parametrize("fair", [None, Prices(np.array([[5.0], [6.0]]), 2)], ids=["none", "fair"])
def test_what_is_laid_down_once_is_what_is_handed_in_each_time(fair: Prices | None) -> None:
    handed_in, lies = town(fair), town(fair)
    address = laid(lies)

    told = [of_one(handed_in, day, 1.0) for day in (0, 1, 1)]
    found = [of_one_laid(address, day, 1.0) for day in (0, 1, 1)]

    assert found == told
    assert lies.shop.sold.tolist() == handed_in.shop.sold.tolist() == [[11.0, 21.0], [62.0, 82.0]]


def test_what_is_laid_down_stays_for_as_long_as_its_address() -> None:
    address = laid(town(Prices(np.array([[5.0], [6.0]]), 2)))

    gc.collect()
    others = [np.zeros((2, 2)) for _ in range(1_000)]

    assert [of_one_laid(address, day, 1.0) for day in (0, 1)] == [10.0, 12.0]
    assert not np.any(others)


def test_a_copy_of_what_is_laid_down_has_arrays_of_its_own() -> None:
    kept = town()
    address = laid(kept)

    arrays, copied = deepcopy((kept, address))
    of_one_laid(copied, 0, 1.0)

    assert arrays.shop.sold.tolist() == [[11.0, 21.0], [0.0, 0.0]]
    assert kept.shop.sold.tolist() == [[0.0, 0.0], [0.0, 0.0]]
