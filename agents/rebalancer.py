"""The rebalancer: which quota of which flavor goes from whom to whom."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.entitlements import entitled, entitled_gpus, unallocated
from agents.expectation import with_effects
from agents.shares import apportion, whole
from agents.step import NO_CAP, Step
from agents.supply import cohorts
from gyropilot.domain import Action, Dial, Intent, Line, Queue, Quota, View

Holder = tuple[str, str, str]  # queue, flavor, resource: one nominal quota
Asks = dict[str, int]  # queue -> GPUs
Moved = Counter[Holder]  # GPUs, given with a minus


@dataclass(frozen=True, slots=True)
class Rebalancer:
    """Moves whole GPUs of nominal quota within a cohort and a flavor, so that no sum exceeds what it was or should be.

    What nobody has, because a taker's raise came to nothing, is given out first; what was lent goes home first.
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
                free = unallocated(view.state, group, resource)
                moved |= self._moves(group, resource, _asks(group, resource, intent), free)
            actions += [
                _action(group, holder, gpus, intent) for holder, gpus in sorted(moved.items(), key=_giver_first)
            ]
        return with_effects(view, actions)

    def _moves(self, group: Sequence[Queue], resource: str, asks: Asks, free: Counter[str]) -> Moved:
        """GPUs per nominal quota, summing in each flavor to what of the quota that nobody has is given out."""
        wants = {name: gpus for name, gpus in asks.items() if gpus > 0}
        offers = {q.name: self._offer(q, resource, -asks[q.name]) for q in group if asks[q.name] < 0}
        moved: Moved = Counter()
        for home in (True, False):  # what was lent goes home first, in its own flavor; only then anything to anyone
            for flavor, quotas in _by_flavor(group, resource).items():
                done = {name: moved[name, flavor, resource] for name in quotas}
                given = {n: min(offers[n], self._gives(quotas[n], -done[n], home)) for n in offers if n in quotas}
                taken = {n: min(wants[n], self._takes(quotas[n], done[n], home)) for n in wants if n in quotas}
                total = min(free[flavor] + sum(given.values()), sum(taken.values()))
                from_nobody = min(free[flavor], total)
                free[flavor] -= from_nobody
                for name, gpus in apportion(total - from_nobody, given).items():
                    offers[name] -= gpus
                    moved[name, flavor, resource] -= gpus
                for name, gpus in apportion(total, taken).items():
                    wants[name] -= gpus
                    moved[name, flavor, resource] += gpus
        return Counter({holder: gpus for holder, gpus in moved.items() if gpus})

    def _gives(self, quota: Quota, given: int, home: bool) -> int:
        """What more of one quota may go: nothing in use, no more than a step, of what is lent to it or of all."""
        kept = max(whole(quota.used_gpus), entitled(quota) if home else 0)
        return max(0, min(quota.nominal_gpus - kept, self._cap(quota)) - given)

    def _takes(self, quota: Quota, taken: int, home: bool) -> int:
        """What more may come to one quota: no more than a step, up to what is its own or to any."""
        cap = self._cap(quota)
        return max(0, (min(cap, entitled(quota) - quota.nominal_gpus) if home else cap) - taken)

    def _offer(self, queue: Queue, resource: str, asked: int) -> int:
        """What a queue can give of what it is asked: nothing of its guaranteed share."""
        nominal = queue.nominal_gpus(resource)
        floor = whole(self.guaranteed_share * entitled_gpus(queue, resource))
        if queue.guaranteed_gpus is not None:
            # It is guaranteed over all resources together.
            floor = queue.guaranteed_gpus - (queue.nominal_gpus() - nominal)
        return 0 if queue.name in self.keep else max(0, min(asked, nominal - floor))

    def _cap(self, quota: Quota) -> int:
        return int(min(self.step.units(quota.nominal_gpus), 2**31))


def _asks(group: Sequence[Queue], resource: str, intent: Intent) -> Asks:
    return {q.name: intent.quota_gpus.get(Line(q.name, resource), 0) for q in group}


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
