"""A simulated cluster as pilots see a real one, and what they want of it as its dials."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from agents.rebalancer import Rebalancer
from envs.replay import Share
from envs.terms import HOUR_S, PoolTerms, Prices
from envs.workloads import DAY_S, MONDAY_S, Floats, Ints
from envs.world import Run
from forecasting.forecast import forecast, known
from forecasting.naive import Naive
from forecasting.protocol import Forecaster, updated
from gyropilot.domain import (
    Accelerator,
    ClusterState,
    DemandForecast,
    DemandHistory,
    Dial,
    Intent,
    Line,
    Pool,
    Queue,
    Quota,
    View,
)
from gyropilot.settings import ForecastSettings

GPU = Accelerator("nvidia.com/gpu", "simulated")
REMEMBERED = timedelta(days=28)
REFIT_S = DAY_S
FORECAST_S = 900.0
"""How often a forecaster learns anew, more often on the first day; and how old a forecast may be."""

HORIZONS = tuple(timedelta(minutes=m) for m in (5, 15, 30, 60, 120, 180, 360, 720, 1440))
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95)


@dataclass(eq=False, slots=True)
class Seen:
    """What a pilot has seen of one run so far."""

    run: Run
    prices: Prices
    forecaster: Forecaster = field(default_factory=Naive)
    began_s: float = MONDAY_S  # seconds of the epoch at which the world begins
    running: Floats = field(init=False)  # (Q, T + 1) GPUs at the beginning of each step
    pending: Floats = field(init=False)
    fitted_s: float = field(init=False, default=0.0)
    foretold: DemandForecast | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        shape = (len(self.run.queues), self.run.steps + 1)
        self.running, self.pending = np.zeros(shape), np.zeros(shape)

    def view(self) -> View:
        """The cluster now, and a forecast that is at most FORECAST_S old."""
        state = self.run.sites.state
        self.running[:, self.nth] = state.ledger.used[0].sum(axis=1)
        self.pending[:, self.nth] = state.meter.waiting[0]
        seen = ClusterState(self.now, self._pools(), self._queues(), (), self._history())
        return View(seen, self._forecast(seen.history))

    def dials(self, intent: Intent) -> tuple[Ints, Floats]:
        """(1, P) nodes and (1, Q) GPUs to take back. For one GPU more a node comes; for one less none goes."""
        wanted = self.asked
        for row, pool in enumerate(self.run.world.pools):
            gpus = intent.pool_gpus.get(pool.name, 0)
            wanted[row] += math.ceil(gpus / pool.gpus_per_node) if gpus > 0 else -(-gpus // pool.gpus_per_node)
        back = np.array([intent.reclaim_gpus.get(Line(queue, GPU.resource), 0) for queue in self.run.queues])
        return wanted[None], back[None].astype(np.float64)

    def moved_quotas(self, view: View, intent: Intent) -> int:
        """Moves quota as the rebalancer would; how many quotas changed."""
        from envs.compiled.world import lent, one

        if not intent.quota_gpus:
            return 0
        rules, pools = self.run.sites.rules, [pool.name for pool in self.run.world.pools]
        actions = [a for a in Rebalancer().propose(view, intent) if a.dial is Dial.QUEUE_QUOTA]
        for action in actions:
            queue, flavor = action.target.removesuffix(f"/{GPU.resource}").rsplit("/", 1)
            at = (0, self.run.queues.index(queue), pools.index(flavor))
            rules.most[at] += action.after - rules.nominal[at]
            rules.nominal[at] = action.after
        if actions:
            site = one(self.run.sites, 0)
            lent(site.rules, site.state.ledger)
        return len(actions)

    @property
    def asked(self) -> Ints:
        """(P,) nodes that are there or asked for."""
        nodes = self.run.sites.nodes
        asked: Ints = nodes.there[0] + nodes.coming[0]
        return asked

    @property
    def nth(self) -> int:
        return int(self.run.nth[0])

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.began_s + self.nth * self.run.world.step_s, UTC)

    def _pools(self) -> tuple[Pool, ...]:
        there, coming = self.run.sites.nodes.there[0], self.run.sites.nodes.coming[0]
        idle = self.run.sites.state.ledger.idle[0]
        return tuple(
            _pool(terms, self.prices, *(int(part[row]) for part in (there, coming, idle)))
            for row, terms in enumerate(self.run.world.pools)
        )

    def _queues(self) -> tuple[Queue, ...]:
        return tuple(self._queue(row, name) for row, name in enumerate(self.run.queues))

    def _queue(self, row: int, name: str) -> Queue:
        own = self.prices.queue_waiting_usd_per_gpu_hour
        return Queue(
            name,
            quotas=self._quotas(row, name),
            cohort=self.run.world.cohorts.get(name),
            running_gpus={GPU.resource: float(self.running[row, self.nth])},
            pending_gpus={GPU.resource: float(self.pending[row, self.nth])},
            waiting_usd_per_gpu_hour=own.get(name, self.prices.waiting_usd_per_gpu_hour),
        )

    def _quotas(self, row: int, name: str) -> tuple[Quota, ...]:
        """None where the world has none: then nothing holds a queue but GPUs."""
        shares, rules = self.run.world.shares.get(name), self.run.sites.rules
        if shares is None:
            return ()
        used, names = self.run.sites.state.ledger.used[0, row], [pool.name for pool in self.run.world.pools]
        return tuple(
            _quota(name, flavor, share, int(rules.nominal[0, row, at]), float(used[at]))
            for flavor, share in shares.items()
            for at in [names.index(flavor)]
        )

    def _history(self) -> DemandHistory:
        step_s = self.run.world.step_s
        first = max(0, self.nth + 1 - round(REMEMBERED.total_seconds() / step_s))
        times = (self.began_s + step_s * np.arange(first, self.nth + 1)).astype(np.int64)
        lines = tuple(Line(queue, GPU.resource) for queue in self.run.queues)
        seen = slice(first, self.nth + 1)
        return DemandHistory(lines, times, self.running[:, seen], self.pending[:, seen])

    def _forecast(self, history: DemandHistory) -> DemandForecast:
        now_s = self.nth * self.run.world.step_s
        if self.foretold is None or now_s - self.foretold_s >= FORECAST_S:
            whole = known(history)
            if now_s - self.fitted_s >= min(REFIT_S, max(self.fitted_s, HOUR_S)):
                self.forecaster, self.fitted_s = self.forecaster.fit(whole), now_s
            self.forecaster = updated(self.forecaster, whole)
            wanted = ForecastSettings(horizons=HORIZONS, quantiles=QUANTILES)
            self.foretold = forecast(self.forecaster, whole, wanted, self.now)
        return self.foretold

    @property
    def foretold_s(self) -> float:
        assert self.foretold is not None
        return self.foretold.made_at.timestamp() - self.began_s


def _pool(terms: PoolTerms, prices: Prices, there: int, coming: int, idle: int) -> Pool:
    return Pool(
        terms.name,
        GPU,
        nodes=there,
        ready_nodes=there,
        gpus_per_node=terms.gpus_per_node,
        idle_gpus=float(idle),
        min_nodes=terms.min_nodes,
        max_nodes=terms.max_nodes,
        market=terms.market,
        lead_time=timedelta(seconds=terms.lead_s),
        price_usd_per_gpu_hour=terms.price_usd_per_gpu_hour,
        watts_idle_per_gpu=terms.watts_idle_per_gpu,
        watts_busy_per_gpu=terms.watts_busy_per_gpu,
        carbon_g_per_kwh=prices.carbon_g_per_kwh,
        flavors=(terms.name,),
        dial=None if terms.min_nodes == terms.max_nodes else Dial.POOL_SIZE,
        dial_target=f"pools/{terms.name}",
        dial_value=there + coming,
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
