"""Random small clusters for properties that must hold in all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from agents.supply import supply_gpus
from gyropilot.domain import ALL_QUEUES, Dial, Intent, Line, Market, Pool, Queue, Quota, View, Workload, WorkloadKind
from tests.fakes import GPU, H100, NOW, forecast, history, pool, queue, state, workload

# A busy machine must not fail a property: no deadline, no complaint about slow drawing.
in_any_world = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FLAVORS = ("h100", "spot")
NAMES = ("research", "vision", "speech", "robots")


@st.composite
def pools(draw: st.DrawFn, name: str = "h100") -> Pool:
    per_node = draw(st.sampled_from((1, 4, 8)))
    ready = draw(st.integers(0, 6))
    nodes = ready + draw(st.integers(0, 2))
    wanted = nodes + draw(st.integers(0, 2))
    dial = draw(st.sampled_from((Dial.POOL_SIZE, Dial.POOL_SIZE, Dial.POOL_LIMIT, None)))
    return pool(
        name,
        gpus_per_node=per_node,
        ready_nodes=ready,
        nodes=nodes,
        idle_gpus=float(draw(st.integers(0, ready * per_node))),
        min_nodes=draw(st.integers(0, 2)),
        max_nodes=draw(st.one_of(st.none(), st.integers(wanted, 12))),
        market=draw(st.sampled_from(Market)),
        price_usd_per_gpu_hour=draw(st.sampled_from((0.0, 0.5, 2.0, 8.0))),
        lead_time=timedelta(minutes=draw(st.sampled_from((2, 6, 30)))),
        flavors=(draw(st.sampled_from(FLAVORS)),),
        dial=dial,
        dial_value={Dial.POOL_SIZE: wanted, Dial.POOL_LIMIT: wanted * per_node}.get(dial) if dial else None,
    )


@st.composite
def queues(draw: st.DrawFn, name: str = "research") -> Queue:
    flavors = draw(st.lists(st.sampled_from(FLAVORS), unique=True, max_size=2))
    running = float(draw(st.integers(0, 24)))
    pending = float(draw(st.integers(0, 24)))
    quotas = tuple(
        Quota(f, H100, draw(st.integers(0, 24)), draw(st.integers(0, 12)), dial_target=f"{name}/{f}/{GPU}")
        for f in flavors
    )
    return queue(
        name,
        running=running,
        pending=pending,
        quotas=quotas,
        cohort=draw(st.sampled_from(("all", "some", None))),
        active=draw(st.sampled_from((True, True, True, False))),
        waiting_usd_per_gpu_hour=draw(st.sampled_from((0.0, 1.0, 10.0, 100.0))),
        oldest_wait=timedelta(minutes=draw(st.integers(0, 30))) if pending else None,
        guaranteed_gpus=draw(st.sampled_from((None, None, 4))),
    )


@st.composite
def workloads(draw: st.DrawFn, name: str = "job", queue: str = "research") -> Workload:
    return workload(
        name,
        queue,
        gpus=draw(st.integers(1, 16)),
        started=draw(st.sampled_from((None, NOW - timedelta(hours=1), NOW - timedelta(hours=9)))),
        last_checkpoint=draw(st.sampled_from((None, NOW, NOW - timedelta(minutes=20)))),
        restart_cost=draw(st.sampled_from((timedelta(0), timedelta(minutes=5)))),
        priority=draw(st.integers(0, 2)),
        kind=draw(st.sampled_from(WorkloadKind)),
        active=draw(st.sampled_from((True, True, False))),
        protected=draw(st.sampled_from((None, None, "its owner says so"))),
        dial_target=draw(st.sampled_from((f"{queue}/{name}", f"{queue}/{name}", ""))),
    )


@st.composite
def views(draw: st.DrawFn) -> View:
    """Up to three pools and four queues with a history of a day and a flat forecast near or far from it."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=4))
    tenants = [draw(queues(name)) for name in names]
    seen = state(
        [draw(pools(name)) for name in draw(st.lists(st.sampled_from(("a", "b", "c")), unique=True, max_size=3))],
        tenants,
        [draw(workloads(f"job-{i}", draw(st.sampled_from(names)))) for i in range(draw(st.integers(0, 6)))],
    )
    # An hour of history is enough for every rule, and keeps what a failure prints readable.
    recent = history({q.name: [q.demand_gpus(GPU)] * 12 for q in tenants})
    seen = replace(seen, history=recent)
    demand = {name: float(draw(st.integers(0, 60))) for name in names}
    return View(seen, forecast(demand, spread=draw(st.sampled_from((0.0, 0.5, 1.0)))))


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """Wishes of any pilot, wise or not, also for pools and queues that are not there."""
    lines = [Line(name, resource) for name in (*NAMES, "gone", ALL_QUEUES) for resource in (GPU, "amd.com/gpu")]
    return Intent(
        "any",
        pool_gpus=draw(st.dictionaries(st.sampled_from(("a", "b", "c", "gone")), st.integers(-64, 64))),
        quota_gpus=draw(st.dictionaries(st.sampled_from(lines), st.integers(-32, 32))),
        reclaim_gpus=draw(st.dictionaries(st.sampled_from(lines), st.integers(0, 32))),
    )


def with_waiting_cost(view: View, usd_per_gpu_hour: float) -> View:
    """The same view, in which waiting costs this much in every queue."""
    tenants = tuple(replace(q, waiting_usd_per_gpu_hour=usd_per_gpu_hour) for q in view.state.queues)
    return replace(view, state=replace(view.state, queues=tenants))


def crowded(view: View, beyond: int) -> View:
    """Its pools, with far more work than they hold and a quota that admits so many GPUs more than are there."""
    pools = [replace(p, flavors=("h100",)) for p in view.state.pools]
    there = sum(supply_gpus(p) for p in pools)
    asks = queue(nominal=there + beyond, running=float(there), pending=500.0, cohort=None)
    return View(state(pools, [asks]), forecast({"research": there + 500.0}))
