"""What every actuator promises: read and turn."""

from __future__ import annotations

from typing import Protocol

from gyropilot.domain import Dial


class Actuator(Protocol):
    """One kind of dial on the real cluster."""

    dial: Dial

    def read(self, target: str) -> int:
        """The dial's present value. Raises NotFoundError, LeftAlone, KubernetesError."""
        ...

    def turn(self, target: str, before: int, after: int) -> str:
        """Set `after` on condition that it is still `before`; answers with lines "path: old → new" of what changed.

        Raises ConflictError when it is not `before` any more, ForbiddenError, NotFoundError, LeftAlone,
        KubernetesError. Never turns twice, never half.
        """
        ...
