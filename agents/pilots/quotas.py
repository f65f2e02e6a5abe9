"""Whose quota should be larger: what is lent goes home to owners who need it, what is spare to who is short.

In this order, within each cohort:

1. Quota that nobody has, because a taker's raise came to nothing, goes to owners below their entitlement.
2. An owner below its entitlement that waits, or is forecast to need it, gets it back: from queues above theirs
   first, as far as they do not run on it, then from whoever has quota to spare.
3. A queue that is short gets what others have to spare. It is short if work waits in it now, or if its forecast
   exceeds its quota by more than it may borrow: quota that moves while nobody gains is churn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from agents.entitlements import entitled_gpus, unallocated
from agents.paths import peak_gpus
from agents.pilots.prices import critical_ratio, mean_price
from agents.shares import apportion, whole
from agents.supply import cohorts, quotas_bind
from gyropilot.domain import ALL_QUEUES, Line, Queue, View

Gpus = Counter[Line]


class Flow(NamedTuple):
    """What moved in one go."""

    given: Gpus
    taken: Gpus


@dataclass(frozen=True, slots=True)
class QuotaRule:
    """Moves nominal quota within each cohort, whose sum stays what its queues are entitled to."""

    giving_quantile: float  # of its own demand: a queue gives only what lies above
    ahead: timedelta  # the peak within it counts
    dead_band_gpus: int

    def moves(self, view: View, still: AbstractSet[Line] = frozenset()) -> tuple[dict[Line, int], dict[str, str]]:
        """GPUs of quota given (+) and asked back (-) per line, and why.

        They sum to what nobody has in each cohort, which is zero unless a move came to half. A cohort with one of
        the lines in `still` keeps its quotas of that resource as they are.
        """
        moved: dict[Line, int] = {}
        if not quotas_bind(view.state):
            return moved, {}
        for group in cohorts(view.state):
            for resource in sorted({q.accelerator.resource for queue in group for q in queue.quotas}):
                if still.isdisjoint(Line(q.name, resource) for q in group):
                    moved |= self._within(view, [q for q in group if _has_quota(q, resource)], resource)
        return moved, {str(line): self._why(view, line, gpus) for line, gpus in moved.items()}

    def _within(self, view: View, queues: Sequence[Queue], resource: str) -> dict[Line, int]:
        lines = {Line(q.name, resource): q for q in queues if Line(q.name, resource) in view.forecast.lines}
        missing = Counter({line: self._missing(view, line, queue) for line, queue in lines.items()})
        free = Counter({_nobody(resource): unallocated(view.state, queues, resource).total()})
        if not missing.total() and not free.total():
            return {}
        spare = Counter({line: self._spare(view, line, queue) for line, queue in lines.items()})
        lent = Counter({line: _lent(queue, resource) for line, queue in lines.items()})
        surplus = Counter({line: _surplus(queue, resource) for line, queue in lines.items()})
        owed, short = missing & lent, missing - lent
        moved: Gpus = Counter()
        _flow(moved, free, owed)
        # Who does not need what comes home may lend it again at once; what is given back is spare no more.
        spare += _flow(moved, free, lent - (missing & lent)).taken
        spare -= _flow(moved, surplus, owed).given
        _flow(moved, spare, owed)
        _flow(moved, spare, Counter({line: n for line, n in short.items() if _gains(lines[line], line, n, spare)}))
        return {line: gpus for line, gpus in moved.items() if gpus and line != _nobody(resource)}

    def _spare(self, view: View, line: Line, queue: Queue) -> int:
        """Quota above its guarantee, what it runs, what waits, and a high quantile of what it will want."""
        forecast = self._peak(view, line, self._keeping(view, queue, line))
        needed = max(forecast, queue.demand_gpus(line.resource), queue.guaranteed_gpus or 0)
        return self._beyond(queue.nominal_gpus(line.resource) - whole(needed))

    def _missing(self, view: View, line: Line, queue: Queue) -> int:
        """Quota below what it will want, and what it runs and waits for if it waits."""
        forecast = self._peak(view, line, queue_quantile(view, queue, line.resource))
        wanted = max(forecast, queue.demand_gpus(line.resource)) if _waiting(queue, line) else forecast
        return self._beyond(whole(wanted) - queue.nominal_gpus(line.resource))

    def _keeping(self, view: View, queue: Queue, line: Line) -> float:
        # Never below the quantile at which the same queue would ask: else it could give and ask at once.
        return max(self.giving_quantile, queue_quantile(view, queue, line.resource))

    def _peak(self, view: View, line: Line, quantile: float) -> float:
        return peak_gpus(view.forecast, line, quantile, self.ahead)

    def _beyond(self, gpus: int) -> int:
        return gpus if gpus >= max(1, self.dead_band_gpus) else 0

    def _why(self, view: View, line: Line, gpus: int) -> str:
        queue = view.state.queue(line.queue)
        giving, waiting = gpus < 0, _waiting(queue, line)
        quantile = self._keeping(view, queue, line) if giving else queue_quantile(view, queue, line.resource)
        within = f"within {self.ahead / timedelta(minutes=1):.0f} min"
        waits = f"{waiting:g} GPUs wait; " if waiting and not giving else ""
        says = f"forecast p{quantile * 100:.0f} demand {within} is {self._peak(view, line, quantile):.0f} GPUs"
        nominal, own = queue.nominal_gpus(line.resource), entitled_gpus(queue, line.resource)
        return f"{waits}{says}, its quota is {nominal}" + (f", its own {own}" if own != nominal else "")


def queue_quantile(view: View, queue: Queue, resource: str) -> float:
    """The critical ratio of a queue: its own cost of waiting against the mean price of the GPUs that it would get."""
    return critical_ratio(mean_price(view.state.pools_of(resource)), queue.waiting_usd_per_gpu_hour)


def _flow(moved: Gpus, sources: Gpus, sinks: Gpus) -> Flow:
    """Moves what the sources have to the sinks, both in proportion, and books it; both keep what is left."""
    total = min(sources.total(), sinks.total())
    given, taken = Counter(apportion(total, sources)), Counter(apportion(total, sinks))
    sources.subtract(given)
    sinks.subtract(taken)
    moved.update(taken)
    moved.subtract(given)
    return Flow(given, taken)


def _nobody(resource: str) -> Line:
    """The line of quota that no queue has."""
    return Line(ALL_QUEUES, resource)


def _lent(queue: Queue, resource: str) -> int:
    return max(0, entitled_gpus(queue, resource) - queue.nominal_gpus(resource))


def _surplus(queue: Queue, resource: str) -> int:
    """Quota above its own on which it does not run."""
    kept = max(entitled_gpus(queue, resource), whole(queue.running_gpus.get(resource, 0.0)))
    return max(0, queue.nominal_gpus(resource) - kept)


def _waiting(queue: Queue, line: Line) -> float:
    return queue.pending_gpus.get(line.resource, 0.0)


def _gains(queue: Queue, line: Line, gpus: int, spare: Gpus) -> bool:
    """Whether more quota lets the queue run more: work waits now, or it could not borrow what it will want."""
    limits = [q.borrowing_limit_gpus for q in queue.quotas if q.accelerator.resource == line.resource]
    limit = math.inf if None in limits else sum(n for n in limits if n is not None)
    return _waiting(queue, line) > 0 or gpus > min(limit, spare.total())


def _has_quota(queue: Queue, resource: str) -> bool:
    return any(q.accelerator.resource == resource for q in queue.quotas)
