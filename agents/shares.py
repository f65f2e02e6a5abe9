"""Whole GPUs: rounded up, and shared out so that the sum is exact."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def whole(gpus: float) -> int:
    """GPUs rounded up; what arithmetic adds to a whole number is not a GPU."""
    return math.ceil(gpus - 1e-6)


def apportion(total: int, claims: Mapping[K, int]) -> dict[K, int]:
    """`total` in proportion to the claims, by largest remainder; nobody gets more than claimed.

    The parts sum to min(total, sum of claims). Equal remainders go to the claim that comes first.
    """
    claimed = sum(claims.values())
    total = max(0, min(total, claimed))
    if not total:
        return dict.fromkeys(claims, 0)
    parts = {key: total * claim // claimed for key, claim in claims.items()}
    by_remainder = sorted(claims, key=lambda key: -(total * claims[key] % claimed))
    for key in by_remainder[: total - sum(parts.values())]:
        parts[key] += 1
    return parts
