"""Whose quota should be larger: from queues that will not need it to queues that will."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

from agents.paths import peak_gpus
from agents.pilots.prices import critical_ratio, mean_price
from agents.shares import apportion, whole
from agents.supply import cohorts
from gyropilot.domain import Line, Queue, View


@dataclass(frozen=True, slots=True)
class QuotaRule:
    """Moves nominal quota within each cohort, so that its sum stays what it is."""

    giving_quantile: float  # of its own demand: a queue gives only what lies above
    ahead: timedelta  # the peak within it counts
    dead_band_gpus: int

    def moves(self, view: View, still: AbstractSet[Line] = frozenset()) -> tuple[dict[Line, int], dict[str, str]]:
        """GPUs of quota given (+) and asked back (-) per line, summing to zero in each cohort, and why.

        A cohort with one of the lines in `still` keeps its quotas of that resource as they are.
        """
        moved: dict[Line, int] = {}
        for group in cohorts(view.state):
            for resource in sorted({q.accelerator.resource for queue in group for q in queue.quotas}):
                if still.isdisjoint(Line(q.name, resource) for q in group):
                    moved |= self._within(view, [q for q in group if _has_quota(q, resource)], resource)
        return moved, {str(line): self._why(view, line, gpus) for line, gpus in moved.items()}

    def _within(self, view: View, queues: Sequence[Queue], resource: str) -> dict[Line, int]:
        lines = {Line(q.name, resource): q for q in queues if Line(q.name, resource) in view.forecast.lines}
        spare = {line: self._spare(view, line, queue) for line, queue in lines.items()}
        missing = {line: self._missing(view, line, queue) for line, queue in lines.items()}
        total = min(sum(spare.values()), sum(missing.values()))
        given = {line: gpus for line, gpus in apportion(total, missing).items() if gpus}
        taken = {line: -gpus for line, gpus in apportion(total, spare).items() if gpus}
        return taken | given

    def _spare(self, view: View, line: Line, queue: Queue) -> int:
        """Quota above its guarantee, what it runs, what waits, and a high quantile of what it will want."""
        forecast = self._peak(view, line, self._keeping(view, queue, line))
        needed = max(forecast, queue.demand_gpus(line.resource), queue.guaranteed_gpus or 0)
        return self._beyond(queue.nominal_gpus(line.resource) - whole(needed))

    def _missing(self, view: View, line: Line, queue: Queue) -> int:
        wanted = self._peak(view, line, queue_quantile(view, queue, line.resource))
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
        giving = gpus < 0
        quantile = self._keeping(view, queue, line) if giving else queue_quantile(view, queue, line.resource)
        within = f"within {self.ahead / timedelta(minutes=1):.0f} min"
        says = f"forecast p{quantile * 100:.0f} demand {within} is {self._peak(view, line, quantile):.0f} GPUs"
        return f"{says}, its quota is {queue.nominal_gpus(line.resource)}"


def queue_quantile(view: View, queue: Queue, resource: str) -> float:
    """The critical ratio of a queue: its own cost of waiting against the mean price of the GPUs that it would get."""
    return critical_ratio(mean_price(view.state.pools_of(resource)), queue.waiting_usd_per_gpu_hour)


def _has_quota(queue: Queue, resource: str) -> bool:
    return any(q.accelerator.resource == resource for q in queue.quotas)
