"""The rebalancer: which quota of which flavor goes from whom to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.expectation import with_effects
from agents.shares import apportion, whole
from agents.step import NO_CAP, Step
from agents.supply import cohorts
from gyropilot.domain import Action, Dial, Intent, Line, Queue, Quota, View

Holder = tuple[str, str, str]  # queue, flavor, resource: one nominal quota
Asks = dict[str, int]  # queue -> GPUs


@dataclass(frozen=True, slots=True)
class Rebalancer:
    """Moves whole GPUs of nominal quota within a cohort and a flavor, so that each sum stays what it is.

    Givers come before takers: applied in order, no sum is ever exceeded. What givers cannot give, because
    their quota is of another flavor, in use, or guaranteed to them, is not taken by anyone: a taker's raise
    that rests on a refused giver would be refused whole.
    """

    step: Step = NO_CAP
    guaranteed_share: float = 0.0  # of its entitled quota that a queue keeps, where nothing else is guaranteed to it
    keep: frozenset[str] = frozenset()  # queues that never give
    name: str = field(default="rebalancer", init=False)

    def propose(self, view: View, intent: Intent) -> list[Action]:
        actions: list[Action] = []
        for group in cohorts(view.state):
            moved: dict[Holder, int] = {}
            for resource in sorted({line.resource for line in intent.quota_gpus}):
                moved |= self._moves(group, resource, _asks(group, resource, intent))
            actions += [
                _action(group, holder, gpus, intent) for holder, gpus in sorted(moved.items(), key=_giver_first)
            ]
        return with_effects(view, actions)

    def _moves(self, group: Sequence[Queue], resource: str, asks: Asks) -> dict[Holder, int]:
        """GPUs per nominal quota, summing to zero in each flavor."""
        wants = {name: gpus for name, gpus in asks.items() if gpus > 0}
        offers = {q.name: self._offer(q, resource, -asks[q.name]) for q in group if asks[q.name] < 0}
        moved: dict[Holder, int] = {}
        for flavor, quotas in _by_flavor(group, resource).items():
            given = {n: min(offers[n], _unused(quotas[n]), self._cap(quotas[n])) for n in offers if n in quotas}
            taken = {n: min(wants[n], self._cap(quotas[n])) for n in wants if n in quotas}
            total = min(sum(given.values()), sum(taken.values()))
            for name, gpus in apportion(total, given).items():
                offers[name] -= gpus
                moved[name, flavor, resource] = -gpus
            for name, gpus in apportion(total, taken).items():
                wants[name] -= gpus
                moved[name, flavor, resource] = gpus
        return {holder: gpus for holder, gpus in moved.items() if gpus}

    def _offer(self, queue: Queue, resource: str, asked: int) -> int:
        """What a queue can give of what it is asked: nothing of its guaranteed share."""
        nominal = queue.nominal_gpus(resource)
        entitled = sum(_entitled(q) for q in queue.quotas if q.accelerator.resource == resource)
        floor = whole(self.guaranteed_share * entitled)
        if queue.guaranteed_gpus is not None:
            # It is guaranteed over all resources together.
            floor = queue.guaranteed_gpus - (queue.nominal_gpus() - nominal)
        return 0 if queue.name in self.keep else max(0, min(asked, nominal - floor))

    def _cap(self, quota: Quota) -> int:
        return int(min(self.step.units(quota.nominal_gpus), 2**31))


def _asks(group: Sequence[Queue], resource: str, intent: Intent) -> Asks:
    return {q.name: intent.quota_gpus.get(Line(q.name, resource), 0) for q in group}


def _entitled(quota: Quota) -> int:
    return quota.nominal_gpus if quota.entitled_gpus is None else quota.entitled_gpus


def _unused(quota: Quota) -> int:
    return max(0, quota.nominal_gpus - whole(quota.used_gpus))


def _by_flavor(group: Sequence[Queue], resource: str) -> dict[str, Mapping[str, Quota]]:
    """Quotas that can be turned, per flavor and queue; flavors that few queues share come first."""
    flavors: dict[str, dict[str, Quota]] = defaultdict(dict)
    for queue in group:
        for quota in queue.quotas:
            if quota.dial_target and quota.accelerator.resource == resource:
                flavors[quota.flavor][queue.name] = quota
    return dict(sorted(flavors.items(), key=lambda each: (len(each[1]), each[0])))


def _giver_first(move: tuple[Holder, int]) -> tuple[bool, Holder]:
    return move[1] > 0, move[0]


def _action(group: Sequence[Queue], holder: Holder, gpus: int, intent: Intent) -> Action:
    name, flavor, resource = holder
    queue = next(q for q in group if q.name == name)
    quota = next(q for q in queue.quotas if (q.flavor, q.accelerator.resource) == (flavor, resource))
    return Action(
        dial=Dial.QUEUE_QUOTA,
        target=quota.dial_target,
        before=quota.nominal_gpus,
        after=quota.nominal_gpus + gpus,
        reason=intent.why(Line(name, resource)),
        subject=name,
        queue=name,
        resource=resource,
        gpus=gpus,
    )
