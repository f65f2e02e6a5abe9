"""Kubernetes quantities ("8", 8, "8k", "1e3"), read exactly."""

from __future__ import annotations

from functools import lru_cache

from kubernetes.utils import parse_quantity

from gyropilot.errors import KubernetesError


@lru_cache(maxsize=4096)
def amount(raw: str | float | None) -> float:
    """The number that a quantity stands for; 0 for none. Raises KubernetesError for what is no quantity."""
    if raw is None:
        return 0.0
    try:
        return float(parse_quantity(str(raw)))
    except ValueError as problem:
        raise KubernetesError(f"the Kubernetes API told the quantity {raw!r}, which is none ({problem})") from problem


def whole(raw: str | float | None) -> int:
    """The same as a whole number, rounded down: half a GPU cannot be given out."""
    return int(amount(raw))
