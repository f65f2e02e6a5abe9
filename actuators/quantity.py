"""Kubernetes quantities ("8", 8, "8k") as whole numbers, and back as the API server has them."""

from __future__ import annotations

from gyropilot.errors import KubernetesError, LeftAlone
from gyropilot.kubernetes.quantity import amount


def whole(raw: object) -> int:
    """The whole number that a quantity stands for. Raises LeftAlone for "500m", "lots" or nothing."""
    try:
        number = amount(str(raw))
    except KubernetesError:
        raise LeftAlone(f"its value is {raw!r}, which is no quantity") from None
    if not number.is_integer():
        raise LeftAlone(f"its value is {raw}, not a whole number")
    return int(number)


def like(raw: object, value: int) -> str | int:
    """`value` written as `raw` is: a number for a number, a string for a string."""
    return value if isinstance(raw, int) else str(value)
