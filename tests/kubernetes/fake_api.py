"""A door to no cluster: answers from a table, everything else is not found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kubernetes.client import ApiClient, Configuration

from gyropilot.errors import ForbiddenError, NotFoundError
from gyropilot.kubernetes.api import Api, Json


@dataclass(frozen=True)
class FakeApi(Api):
    """`answers` by path; paths in `forbidden` are refused; `events` are what each watch tells, once."""

    answers: Mapping[str, Json] = field(default_factory=dict)
    forbidden: frozenset[str] = frozenset()
    events: list[Sequence[Json | Exception]] = field(default_factory=list)

    def get(self, path: str, **query: str | int) -> Json:
        if path in self.forbidden:
            raise ForbiddenError(f"GET {path}: 403 forbidden")
        if path not in self.answers:
            raise NotFoundError(f"GET {path}: 404 not found")
        return self.answers[path]

    def watch(self, path: str, resource_version: str, seconds: int, **query: str | int) -> Iterator[Json]:
        for event in self.events.pop(0) if self.events else ():
            if isinstance(event, Exception):
                raise event
            yield event


def fake_api(
    collections: Mapping[str, Iterable[Json]],
    groups: Mapping[str, Sequence[str]] | None = None,
    forbidden: Iterable[str] = (),
    **more: Json,
) -> FakeApi:
    """Serves these collections by path, these API groups with their versions, and empty core collections."""
    empty = ("/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces", "/apis/batch/v1/jobs")
    served = [{"name": n, "versions": [{"version": v} for v in versions]} for n, versions in (groups or {}).items()]
    tables = {**dict.fromkeys(empty, ()), **collections}
    lists = {path: {"metadata": {"resourceVersion": "1"}, "items": list(items)} for path, items in tables.items()}
    answers: dict[str, Json] = {"/apis": {"groups": served}, **lists, **more}
    return FakeApi(ApiClient(Configuration()), (1.0, 1.0), 500, answers=answers, forbidden=frozenset(forbidden))
