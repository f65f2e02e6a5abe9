"""Kueue's objects, in the newest version that the API server serves."""

from __future__ import annotations

from gyropilot.errors import NotFoundError
from gyropilot.kubernetes.api import Api, Json

VERSIONS = ("v1beta2", "v1beta1")  # the parts that Gyropilot turns are alike in both


def read_kueue(api: Api, rest: str) -> tuple[str, Json]:
    """The path and the object of `clusterqueues/research` or `namespaces/a/workloads/b`. Raises NotFoundError."""
    newest, older = (f"/apis/kueue.x-k8s.io/{version}/{rest}" for version in VERSIONS)
    try:
        return newest, api.get(newest)
    except NotFoundError as absent:
        try:
            return older, api.get(older)
        except NotFoundError:
            raise absent from None
