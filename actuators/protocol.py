"""What every actuator promises: read and turn."""

from __future__ import annotations

from typing import Protocol

from gyropilot.domain import Dial, OutcomeStatus


class Actuator(Protocol):
    """One kind of dial on the real cluster."""

    @property
    def dial(self) -> Dial: ...

    @property
    def done(self) -> OutcomeStatus:
        """What a turn that went through amounts to: DONE, or REHEARSED where nothing is really turned."""
        ...

    def read(self, target: str) -> int:
        """The dial's present value. Raises NotFoundError, LeftAlone, KubernetesError."""
        ...

    def turn(self, target: str, before: int, after: int) -> str:
        """Set `after` on condition that it is still `before`; answers with lines "path: old → new" of what changed.

        Raises ConflictError when it is not `before` any more, ForbiddenError, NotFoundError, LeftAlone,
        KubernetesError. Never turns twice, never half.
        """
        ...
