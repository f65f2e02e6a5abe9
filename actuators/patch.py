"""The base of all dials: one value in one object, read, and set on condition that it has not moved."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Self

from actuators.diff import diff
from actuators.quantity import like, whole
from gyropilot.domain import Dial, OutcomeStatus
from gyropilot.errors import ConflictError, KubernetesError, LeftAlone
from gyropilot.kubernetes.api import JSON_PATCH, Api, Json
from gyropilot.kubernetes.kueue import PAUSED

Place = tuple[str | int, ...]
"""The keys and positions that lead to a value: ("spec", "replicas")."""


UNREAD = "nothing was turned, for it could not be read"


@dataclass(frozen=True, slots=True)
class Knob:
    """One value in one object as it was just seen, and the places that must not have moved when it is set."""

    path: str  # of the object, or of its scale subresource
    seen: Json
    place: Place
    anchors: tuple[Place, ...] = ()  # e.g. the names in a list, which say that the position is still the right one

    @property
    def raw(self) -> Any:
        """The value as the API server has it; None where it is absent."""
        return look(self.seen, self.place)

    def set(self, api: Api, value: object) -> Json:
        """The object as the API server answers it. Raises ConflictError where a place has moved since it was seen."""
        try:
            return api.patch(self.path, self._operations(value), JSON_PATCH)
        except KubernetesError as refusal:
            # A failed `test` and an invalid object are both 422, with nothing that tells them apart.
            if refusal.status == 422:
                self._raise_if_moved(api, refusal)
            raise

    def _operations(self, value: object) -> Sequence[Json]:
        tests = [{"op": "test", "path": pointer(at), "value": look(self.seen, at)} for at in self._conditions]
        # "add" replaces what exists, and `replace` is refused where nothing does.
        return [*tests, {"op": "add" if self.raw is None else "replace", "path": pointer(self.place), "value": value}]

    @property
    def _conditions(self) -> tuple[Place, ...]:
        # For the API server a `test` for null holds where nothing is, so an absent value is tested like any other.
        return (("metadata", "uid"), *self.anchors, self.place)

    def _raise_if_moved(self, api: Api, refusal: KubernetesError) -> None:
        try:
            now = api.get(self.path)
        except KubernetesError:
            raise refusal from None
        for at in self._conditions:
            was, is_now = look(self.seen, at), look(now, at)
            if json.dumps(was) != json.dumps(is_now):
                name = ".".join(str(step) for step in at)
                raise ConflictError(f"{name} moved from {was} to {is_now} just before it was turned") from refusal


@dataclass(frozen=True, slots=True)
class ServerDial(ABC):
    """A dial that is one value in one object of the API server. Its kinds say where to find it."""

    api: Api

    @property
    @abstractmethod
    def dial(self) -> Dial: ...

    @property
    def done(self) -> OutcomeStatus:
        return OutcomeStatus.DONE

    @abstractmethod
    def find(self, target: str) -> Knob:
        """Reads the object. Raises LeftAlone where it must not be turned."""

    def decode(self, raw: Any) -> int:
        """The value in the dial's unit."""
        return whole(raw)

    def encode(self, value: int, raw: Any) -> object:
        """The value as the API server takes it, in the form that `raw` has."""
        return like(raw, value)

    def refuse(self, knob: Knob, after: int) -> None:
        """Raises LeftAlone where this knob must not be set to `after`."""
        if after < 0:
            raise LeftAlone(f"{after} is below zero")

    def read(self, target: str) -> int:
        return self.decode(self.find(target).raw)

    def turn(self, target: str, before: int, after: int) -> str:
        knob = self._find_again(target)
        found = self.decode(knob.raw)
        if found != before:
            raise ConflictError(f"found at {found}, expected {before}")
        self.refuse(knob, after)
        answer = knob.set(self.api, self.encode(after, knob.raw))
        self._confirm(look(answer, knob.place), after)
        return diff(knob.seen, answer)

    def _find_again(self, target: str) -> Knob:
        """As `find`. Raises LeftAlone where no answer came, for nothing was sent yet that could turn anything."""
        try:
            return self.find(target)
        except KubernetesError as problem:
            if problem.status is not None and problem.status < 500:
                raise
            raise LeftAlone(f"{UNREAD}: {problem}") from problem

    def behind(self, api: Api) -> Self:
        """The same dial behind another door."""
        return replace(self, api=api)

    def _confirm(self, raw: object, after: int) -> None:
        """Raises KubernetesError with status 200 where a webhook had the last word."""
        try:
            taken = self.decode(raw) == after
        except LeftAlone:
            taken = False
        if not taken:
            problem = KubernetesError(f"asked for {after}, the API server made it {raw}")
            problem.status, problem.said = 200, f"asked for {after}, made it {raw} (does a webhook own this value?)"
            raise problem


def look(seen: Json, place: Place) -> Any:
    """The value at a place; None where it is absent."""
    return reduce(_step, place, seen)


def _step(node: Any, key: str | int) -> Any:
    if isinstance(key, int):
        return node[key] if isinstance(node, list) and key < len(node) else None
    return node.get(key) if isinstance(node, dict) else None


def pointer(place: Place) -> str:
    """RFC 6901: `/spec/limits/nvidia.com~1gpu`."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in place)


def annotation(metadata: Json, name: str) -> str:
    """An annotation's value; empty where it is absent or says `false`."""
    value = str((metadata.get("annotations") or {}).get(name) or "").strip()
    return "" if value.lower() == "false" else value


def leave_alone_if_held(seen: Json, what: str) -> None:
    """Raises LeftAlone for an object that is being deleted, or that its owner keeps from being turned."""
    metadata = seen.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        raise LeftAlone(f"{what} is being deleted")
    if annotation(metadata, PAUSED):
        raise LeftAlone(f"{what} is annotated {PAUSED}")
