"""Turning what was approved: read, compare, turn, and say in one sentence what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from actuators.patch import UNREAD
from actuators.protocol import Actuator
from gyropilot.domain import Action, Dial, Outcome, OutcomeStatus
from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, LeftAlone, NotFoundError
from gyropilot.kubernetes.access import rule

_DONE = (OutcomeStatus.DONE, OutcomeStatus.REHEARSED)
_UNANSWERED = {
    OutcomeStatus.DONE: "not known whether it was turned",
    OutcomeStatus.REHEARSED: "nothing was turned, the rehearsal was not answered",
}
_RBAC = re.compile(r'cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"')


def apply(action: Action, actuator: Actuator) -> Outcome:
    """Turn one dial if it still stands where it was seen. Every error of the cluster becomes an outcome."""
    try:
        found = actuator.read(action.target)
    except (KubernetesError, LeftAlone) as problem:
        return _outcome(action, problem, None)
    if found != action.before:
        return Outcome(action, OutcomeStatus.LEFT_ALONE, f"found at {found}, expected {action.before}; left alone")
    try:
        diff = actuator.turn(action.target, action.before, action.after)
    except (KubernetesError, LeftAlone) as problem:
        return _outcome(action, problem, actuator.done)
    return Outcome(action, actuator.done, _success(action, actuator.done), diff)


def apply_all(actions: Sequence[Action], actuators: Mapping[Dial, Actuator]) -> tuple[Outcome, ...]:
    """Apply in the order that is safe to stop in: quotas are raised last. Answers in the order given.

    A quota is raised only after all lowerings of its resource were done, so that no cohort ever holds more quota
    than before; and after one action without an answer, nothing more is tried.
    """
    outcomes: dict[int, Outcome] = {}
    for index in sorted(range(len(actions)), key=lambda i: _raises_quota(actions[i])):
        action = actions[index]
        why = _reason_to_stop(action, outcomes.values())
        stopped = Outcome(action, OutcomeStatus.LEFT_ALONE, f"{why}; left alone")
        outcomes[index] = stopped if why else apply(action, actuators[action.dial])
    return tuple(outcomes[index] for index in range(len(actions)))


def _reason_to_stop(action: Action, so_far: Iterable[Outcome]) -> str:
    for outcome in so_far:
        if outcome.status is OutcomeStatus.FAILED:
            return f"nothing more is tried after: {outcome.action}"
        if _raises_quota(action) and _did_not_give(outcome) and outcome.action.resource == action.resource:
            return f"this would come on top, for it was not done: {outcome.action}"
    return ""


def _raises_quota(action: Action) -> bool:
    return action.dial is Dial.QUEUE_QUOTA and action.delta > 0


def _did_not_give(outcome: Outcome) -> bool:
    gives = outcome.action.dial is Dial.QUEUE_QUOTA and outcome.action.delta < 0
    return gives and outcome.status not in _DONE


def _success(action: Action, done: OutcomeStatus) -> str:
    if done is OutcomeStatus.REHEARSED:
        return "the API server would take it"
    if action.dial is Dial.WORKLOAD:
        return "resumed" if action.after else "paused"
    return f"turned from {action.before} to {action.after}"


def _outcome(action: Action, problem: KubernetesError | LeftAlone, done: OutcomeStatus | None) -> Outcome:
    """Why it was not turned as asked; `done`: what a turn would have amounted to, None when it was only read."""
    said = getattr(problem, "said", "") or str(problem)
    if isinstance(problem, LeftAlone | ConflictError | NotFoundError):
        return Outcome(action, OutcomeStatus.LEFT_ALONE, f"{said}; left alone")
    if isinstance(problem, ForbiddenError) and (missing := _RBAC.search(said)):
        granted = rule(missing["group"], missing["resource"], [missing["verb"]])
        return Outcome(action, OutcomeStatus.REFUSED, f"not allowed; add to the ClusterRole: {granted}")
    if problem.status == 200 and done is OutcomeStatus.DONE:
        return Outcome(action, OutcomeStatus.FAILED, f"turned, but not as asked: {said}")
    if _is_certain(problem):
        return Outcome(action, OutcomeStatus.REFUSED, f"the API server refused: {said}")
    if done is None:
        return Outcome(action, OutcomeStatus.LEFT_ALONE, f"{UNREAD}: {problem}; left alone")
    return Outcome(action, OutcomeStatus.FAILED, f"{_UNANSWERED[done]}: {problem}")


def _is_certain(problem: KubernetesError) -> bool:
    """Whether nothing was stored for sure: after a 5xx it may have been, save where a webhook was never reached."""
    return problem.status is not None and (problem.status < 500 or "failed calling webhook" in problem.said)
