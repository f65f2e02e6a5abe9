"""Pools and queues of a simulated cluster as pilots see them: what never changes, and some numbers that do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from envs.replay import Share
from envs.terms import Prices
from envs.world import World
from gyropilot.domain import Accelerator, Dial, Pool, Queue, Quota

GPU = Accelerator("nvidia.com/gpu", "simulated")


@dataclass(frozen=True, eq=False, slots=True)
class Described:
    """What stays the same in a run. Pools and queues are named by their rows."""

    world: World
    queues: tuple[str, ...]
    prices: Prices

    def pool(self, row: int, there: int, coming: int, idle: float, price: float, carbon: float) -> Pool:
        terms = self.world.pools[row]
        return Pool(
            terms.name,
            GPU,
            nodes=there,
            ready_nodes=there,
            gpus_per_node=terms.gpus_per_node,
            idle_gpus=float(idle),
            min_nodes=terms.min_nodes,
            max_nodes=terms.max_nodes,
            provider=terms.provider,
            region=terms.region,
            market=terms.market,
            lead_time=timedelta(seconds=terms.lead.median_s),
            price_usd_per_gpu_hour=price,
            watts_idle_per_gpu=terms.watts_idle_per_gpu,
            watts_busy_per_gpu=terms.watts_busy_per_gpu,
            carbon_g_per_kwh=carbon,
            flavors=(terms.name,),
            dial=None if terms.min_nodes == terms.max_nodes else Dial.POOL_SIZE,
            dial_target=f"pools/{terms.name}",
            dial_value=there + coming,
        )

    def queue(self, row: int, running: int, pending: float, largest: float, quoted: tuple[int, ...]) -> Queue:
        """`quoted` are its quotas in all pools, then what is used of them; nothing where the world has none."""
        name, own = self.queues[row], self.prices.queue_waiting_usd_per_gpu_hour
        return Queue(
            name,
            quotas=self._quotas(name, quoted) if quoted else (),
            cohort=self.world.cohorts.get(name),
            running_gpus={GPU.resource: float(running)},
            pending_gpus={GPU.resource: float(pending)},
            largest_pending_gpus={GPU.resource: largest} if largest else {},
            waiting_usd_per_gpu_hour=own.get(name, self.prices.waiting_usd_per_gpu_hour),
        )

    def _quotas(self, name: str, quoted: Sequence[int]) -> tuple[Quota, ...]:
        """None where a queue has no share: then nothing holds it but GPUs."""
        at = {pool.name: nth for nth, pool in enumerate(self.world.pools)}
        nominal, used = quoted[: len(at)], quoted[len(at) :]
        return tuple(
            _quota(name, flavor, share, nominal[at[flavor]], float(used[at[flavor]]))
            for flavor, share in self.world.shares.get(name, {}).items()
        )


def _quota(queue: str, flavor: str, share: Share, nominal: int, used: float) -> Quota:
    return Quota(
        flavor,
        GPU,
        nominal,
        used,
        share.borrowing_limit,
        share.lending_limit,
        entitled_gpus=share.nominal,
        dial_target=f"{queue}/{flavor}/{GPU.resource}",
    )
