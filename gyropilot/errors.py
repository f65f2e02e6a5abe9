"""Every error that Gyropilot raises on purpose. Each message names the cause and the next step.

GyropilotError
├── SettingsError        a setting is missing, mistyped or contradicts another          exit code 2
├── ObservationError     the picture is stale, partial or contradicts itself            exit code 3
├── UnreachableError     Prometheus or the Kubernetes API does not answer, or refuses   exit code 4
│   ├── PrometheusError
│   └── KubernetesError
│       ├── ForbiddenError   the API server knows us and says no (RBAC)
│       ├── NotFoundError    no such object, or no such kind on this API server
│       └── ConflictError    the object is not what was seen any more
├── ForecastError        a forecaster was given, or gave, what the protocol forbids
├── LeftAlone            an actuator found something that it must not turn
└── JournalError         the journal cannot be read or written
"""

from __future__ import annotations

INTERRUPTED = 130
"""The exit code where somebody did not wait for the answer (Ctrl-C)."""


class GyropilotError(Exception):
    """The root of all errors raised on purpose; `exit_code` is what the command line answers with."""

    exit_code = 1


class SettingsError(GyropilotError):
    """A setting is missing, mistyped or contradicts another."""

    exit_code = 2


class ObservationError(GyropilotError):
    """The picture of the cluster is stale, partial or contradicts itself: less sight, less action."""

    exit_code = 3


class UnreachableError(GyropilotError):
    """A server that we read from does not answer, or refuses us."""

    exit_code = 4


class PrometheusError(UnreachableError):
    """Prometheus does not answer, or answers with an error."""


class KubernetesError(UnreachableError):
    """The Kubernetes API does not answer, or answers with an error."""

    status: int | None = None  # HTTP status of its answer; None: no answer came, or none that can be read
    said: str = ""  # the answer in the API server's own words


class ForbiddenError(KubernetesError):
    """The API server knows us and says no: a role or binding is missing."""


class NotFoundError(KubernetesError):
    """No such object, or the API server does not serve such a kind."""


class ConflictError(KubernetesError):
    """The object is not what was seen any more: someone else changed it first."""


class ForecastError(GyropilotError):
    """A forecaster was given, or gave, what the protocol forbids."""


class LeftAlone(GyropilotError):  # noqa: N818 - an actuator's answer, not a failure
    """An actuator found something that it must not turn."""


class JournalError(GyropilotError):
    """The journal cannot be read or written."""
