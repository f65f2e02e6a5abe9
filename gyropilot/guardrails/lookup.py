"""What an action turns, found in what was seen: None is an answer, and guardrails take it as a reason to hold still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from gyropilot.domain import Action, ClusterState, Dial, Pool, Queue, Quota, Workload
from gyropilot.guardrails.protocol import Situation
from gyropilot.settings import format_duration


def not_seen(what: str) -> str:
    """The objection to what cannot be found."""
    return f"{what or 'what is to be turned'} was not seen in the cluster"


def pool_of(action: Action, state: ClusterState) -> Pool | None:
    """The pool whose size the action turns."""
    return next((p for p in state.pools if p.dial is action.dial and _turns(action, p)), None)


def quota_of(action: Action, state: ClusterState) -> tuple[Queue, Quota] | None:
    """The queue and its quota that the action turns."""
    return next(((q, quota) for q in state.queues for quota in q.quotas if _turns(action, quota)), None)


def workload_of(action: Action, state: ClusterState) -> Workload | None:
    """The gang that the action pauses or resumes."""
    return next((w for w in state.workloads if _turns(action, w)), None)


def _turns(action: Action, thing: Pool | Quota | Workload) -> bool:
    # An empty target means that nothing changes the thing: it must not be found by an action without a target.
    return action.target != "" and action.target == thing.dial_target


def queue_named(name: str, state: ClusterState) -> Queue | None:
    return next((q for q in state.queues if q.name == name), None)


def pauses(action: Action) -> bool:
    """Whether it takes running work back."""
    return action.dial is Dial.WORKLOAD and action.after < 1


def before_it(situation: Situation, since: datetime) -> Iterator[Action]:
    """What was turned after `since`, and what this review has approved: all that counts against the next action."""
    yield from (turn.action for turn in situation.recent if turn.at > since)
    yield from situation.approved


def called(action: Action) -> str:
    """What the operator calls the thing that is turned."""
    return action.subject or action.target


def in_words(duration: timedelta) -> str:
    """`4m`, `90s`: whole seconds, because nobody reads more."""
    return format_duration(timedelta(seconds=round(duration.total_seconds())))
