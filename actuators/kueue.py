"""Kueue's objects, in the newest version that the API server serves."""

from __future__ import annotations

from gyropilot.errors import NotFoundError
from gyropilot.kubernetes.api import Api, Json
from gyropilot.kubernetes.kueue import GROUP, VERSIONS


def read_kueue(api: Api, rest: str) -> tuple[str, Json]:
    """The path and the object of `clusterqueues/research` or `namespaces/a/workloads/b`. Raises NotFoundError."""
    newest, older = (f"/apis/{GROUP}/{version}/{rest}" for version in VERSIONS)  # what is turned is alike in both
    try:
        return newest, api.get(newest)
    except NotFoundError as absent:
        try:
            return older, api.get(older)
        except NotFoundError:
            raise absent from None
