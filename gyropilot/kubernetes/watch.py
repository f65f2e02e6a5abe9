"""A collection of the API server, kept: listed once, then only what changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from gyropilot.errors import KubernetesError
from gyropilot.kubernetes.api import Api, Json, understood

WATCH_SECONDS = 1
"""The server sends what has happened since the last version at once; a second leaves room for a slow network."""

LIST_AFTER = 10
"""Refreshes after which all is listed anew: nothing else tells of a watch that falls behind, or of an API server whose
own cache does, and until then a conditional write is what keeps a stale picture from doing harm."""

Kept = TypeVar("Kept")


@dataclass(slots=True)
class Mirror(Generic[Kept]):
    """What `keep` makes of each object of a collection; None from it leaves the object out."""

    api: Api
    path: str
    keep: Callable[[Json], Kept | None]
    query: Mapping[str, str | int] = field(default_factory=dict)
    kept: dict[tuple[str, str], Kept] = field(default_factory=dict)  # by namespace and name
    version: str = ""  # that `kept` is as of; empty: not listed yet
    followed: int = 0  # refreshes since the last list
    heard_at: datetime | None = None  # when a list, or a watch to its end, last said how things stand

    def refresh(self, now: datetime) -> Collection[Kept]:
        """All that is kept, as of `heard_at`. Raises KubernetesError."""
        if not self.version or self.followed >= LIST_AFTER:
            self._list()
        else:
            self._follow_or_list()
        self.heard_at = now
        return self.kept.values()

    def _follow_or_list(self) -> None:
        try:
            with understood(f"{self.api.host}{self.path}"):
                self._follow()
        except KubernetesError:
            self._list()  # the version has expired, the stream broke, or watching is not allowed

    def _list(self) -> None:
        self.version, self.kept, self.followed = "", {}, 0
        fresh: dict[tuple[str, str], Kept] = {}
        version = ""
        with understood(f"{self.api.host}{self.path}"):
            for page in self.api.pages(self.path, **self.query):
                version = str((page.get("metadata") or {}).get("resourceVersion") or "")
                for item in page.get("items") or ():
                    self._put(fresh, item)
        self.kept, self.version = fresh, version

    def _follow(self) -> None:
        self.followed += 1
        for event in self.api.watch(self.path, self.version, WATCH_SECONDS, **self.query):
            item = event["object"]
            if event["type"] == "ERROR":
                raise KubernetesError(f"the watch of {self.path} ended: {item.get('message', item)}")
            if event["type"] == "DELETED":
                self.kept.pop(_key(item), None)
            elif event["type"] in ("ADDED", "MODIFIED"):
                self._put(self.kept, item)
            self.version = str(item["metadata"]["resourceVersion"])

    def _put(self, where: dict[tuple[str, str], Kept], item: Json) -> None:
        kept = self.keep(item)
        if kept is None:
            where.pop(_key(item), None)
        else:
            where[_key(item)] = kept


def _key(item: Json) -> tuple[str, str]:
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]
