"""What an action turns, in the words of an operator who sees the whole cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from gyropilot.domain import Action, Cycle, Dial, Queue


def named(cycle: Cycle) -> Callable[[Action], Action]:
    """Gives an action its full subject: a quota's flavor is in it where the queue has several (research on h100)."""
    full = {target: name for queue in cycle.state.queues for target, name in _quotas(queue)}

    def name(action: Action) -> Action:
        plain = action.subject or action.target
        return replace(action, subject=full.get(action.target, plain) if action.dial is Dial.QUEUE_QUOTA else plain)

    return name


def _quotas(queue: Queue) -> Iterator[tuple[str, str]]:
    """Of a queue with several quotas: each dial's target and name; the resource too where the flavor does not tell."""
    flavors = [quota.flavor for quota in queue.quotas]
    for quota in queue.quotas if len(flavors) > 1 else ():
        resource = f" ({quota.accelerator.resource})" if flavors.count(quota.flavor) > 1 else ""
        yield quota.dial_target, f"{queue.name} on {quota.flavor}{resource}"
