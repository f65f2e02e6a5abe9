"""Pools: nodes, what sizes them, what they cost, and what is idle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from gyropilot.domain import Accelerator, Dial, Market, Pool
from gyropilot.kubernetes.accelerators import accelerator
from gyropilot.kubernetes.karpenter import NodePool, node_shape
from gyropilot.kubernetes.kueue import ResourceFlavor
from gyropilot.kubernetes.nodes import NODEPOOL, Group, Node, groups, pool_of
from gyropilot.settings import PoolDefaults, PoolSettings, Settings, format_duration

Value = TypeVar("Value")

_UNITS = {
    "price_usd_per_gpu_hour": ("price", "{:g} USD per GPU-hour"),
    "watts_idle_per_gpu": ("idle power", "{:g} W per GPU"),
    "watts_busy_per_gpu": ("busy power", "{:g} W per GPU"),
    "carbon_g_per_kwh": ("carbon intensity", "{:g} g per kWh"),
    "lead_time": ("lead time", "{}"),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What pools are made of."""

    nodes: Sequence[Node]
    node_pools: Sequence[NodePool] = ()
    flavors: Sequence[ResourceFlavor] = ()
    held: Mapping[tuple[str, str], int] | None = None  # GPUs held by pods, by (node, resource); None: not seen
    scales: Mapping[str, int] = field(default_factory=dict)  # told dial -> its present replicas


def pools(ground: Ground, settings: Settings) -> tuple[tuple[Pool, ...], list[str]]:
    """All pools with accelerators, by name, and a sentence for each thing assumed or not seen."""
    notes: list[str] = []
    grouped = groups(ground.nodes, settings.kubernetes.pool_label)
    found = [_of_group(group, ground, settings, notes) for group in grouped]
    found += _without_nodes(ground, {pool.name.split(":")[0] for pool in found}, notes, settings)
    priced = [_told(pool, settings) for pool in found]
    notes += [
        *_not_seen(settings.pools, priced),
        *_defaults_used(priced, settings),
        *_unsized(grouped, ground, settings),
    ]
    return tuple(sorted(priced, key=lambda pool: pool.name)), notes


def _of_group(group: Group, ground: Ground, settings: Settings, notes: list[str]) -> Pool:
    usable = group.usable
    pool = Pool(
        name=group.pool_name,
        accelerator=group.accelerator,
        nodes=len(group.nodes),
        ready_nodes=len(usable),
        gpus_per_node=group.gpus_per_node,
        idle_gpus=_idle(group, ground.held),
        provider=_most(n.provider for n in group.nodes),
        region=_most(n.region for n in group.nodes),
        market=Counter(n.market for n in group.nodes).most_common(1)[0][0],
        flavors=tuple(f.name for f in ground.flavors if all(f.fits(n.labels) for n in group.nodes)),
    )
    uneven = {n.gpus[group.resource] for n in usable} - {group.gpus_per_node}
    if uneven:
        least = min(uneven)
        notes.append(f"nodes of pool {pool.name} offer from {least} GPUs; counted as {pool.gpus_per_node} each")
    turned = _with_dial(pool, _node_pool(group, ground), ground.scales, settings_of(pool.name, settings).dial, notes)
    if (shared := _shared_by(turned, group, ground, settings)) is None:
        return turned
    notes.append(f"pool {pool.name} is not turned: {shared}")
    return pool


def _node_pool(group: Group, ground: Ground) -> NodePool | None:
    """The one NodePool that all its nodes come from."""
    names = {n.labels[NODEPOOL] for n in group.nodes if NODEPOOL in n.labels}
    return next((p for p in ground.node_pools if {p.name} == names), None)


def _unsized(grouped: Iterable[Group], ground: Ground, settings: Settings) -> list[str]:
    """One sentence for all pools that no NodePool sizes and of which no dial is told."""
    names = [g.pool_name for g in grouped if _node_pool(g, ground) is None]
    names = [name for name in names if settings_of(name, settings).dial is None]
    if not names:
        return []
    some, grow, dial = f"pools {', '.join(names)}", "they neither grow nor shrink", "<name>"
    if len(names) == 1:
        some, grow, dial = f"pool {names[0]}", "it neither grows nor shrinks", names[0]
    return [f"nothing that can be turned sizes {some}, so {grow}; set pools.{dial}.dial"]


def _shared_by(pool: Pool, group: Group, ground: Ground, settings: Settings) -> str | None:
    """Why the pool's dial moves more than this pool, as part of a sentence."""
    if pool.dial is Dial.POOL_SIZE and not group.alone:
        return f"{pool.dial_target} also counts nodes with other accelerators"
    node_pool, label = _node_pool(group, ground), settings.kubernetes.pool_label
    if node_pool is None or pool.dial_target != node_pool.dial(pool.accelerator.resource)[1]:
        return None
    if label and len({pool_of(n, label) for n in ground.nodes if n.labels.get(NODEPOOL) == node_pool.name}) > 1:
        return f"NodePool {node_pool.name} also has nodes of other pools"
    return None


def _idle(group: Group, held: Mapping[tuple[str, str], int] | None) -> float:
    resource = group.resource
    taken = held or {}
    return float(sum(max(0, n.gpus[resource] - taken.get((n.name, resource), 0)) for n in group.usable))


def _with_dial(
    pool: Pool, node_pool: NodePool | None, scales: Mapping[str, int], told: str | None, notes: list[str]
) -> Pool:
    """The dial that the operator names, where its scale could be read, else the NodePool's."""
    if told is not None and told in scales:
        return replace(pool, dial=Dial.POOL_SIZE, dial_target=told, dial_value=scales[told])
    if told is not None or node_pool is None:
        return pool
    resource = pool.accelerator.resource
    dial, target, value = node_pool.dial(resource)
    if dial is None:
        notes.append(
            f"NodePool {node_pool.name} is dynamic and has no limit for {resource}: nothing here changes its size; "
            f"set spec.limits[{resource}], or spec.replicas for a static pool"
        )
    # A limit in GPUs is the dial itself and no bound of it; only a limit in nodes is.
    return replace(pool, dial=dial, dial_target=target, dial_value=value, max_nodes=node_pool.max_nodes)


def _without_nodes(ground: Ground, seen: set[str], notes: list[str], settings: Settings) -> list[Pool]:
    """NodePools that could have nodes with accelerators and have none yet."""
    used = {n.labels.get(NODEPOOL) for n in ground.nodes if n.gpus}
    found = []
    for node_pool in ground.node_pools:
        if node_pool.name in seen or node_pool.name in used:
            continue
        resource, per_node = node_shape(node_pool, ground.nodes)
        told = settings.pools.get(node_pool.name, PoolSettings())
        per_node = told.gpus_per_node or per_node
        if per_node:
            kind = accelerator(resource or "nvidia.com/gpu", node_pool.labels)
            empty = _empty(node_pool, kind, per_node, ground)
            found.append(_with_dial(empty, node_pool, ground.scales, told.dial, notes))
        elif resource:
            notes.append(
                f"NodePool {node_pool.name} has no nodes and does not tell how many GPUs each would have: left out; "
                f"set pools.{node_pool.name}.gpus_per_node"
            )
    return found


def _empty(node_pool: NodePool, kind: Accelerator, per_node: int, ground: Ground) -> Pool:
    labels = {**node_pool.labels, NODEPOOL: node_pool.name}
    return Pool(
        name=node_pool.name,
        accelerator=kind,
        nodes=sum(n.labels.get(NODEPOOL) == node_pool.name for n in ground.nodes),  # none offers its GPUs yet
        ready_nodes=0,
        gpus_per_node=per_node,
        idle_gpus=0.0,
        provider=_most(n.provider for n in ground.nodes),
        region=labels.get("topology.kubernetes.io/region") or _most(n.region for n in ground.nodes),
        market=node_pool.market,
        flavors=tuple(f.name for f in ground.flavors if f.fits(labels)),
    )


def settings_of(pool: str, settings: Settings) -> PoolSettings:
    """What is told of a pool; `a100:mig-1g.10gb` falls back to `a100`."""
    return settings.pools.get(pool) or settings.pools.get(pool.split(":", maxsplit=1)[0]) or PoolSettings()


def _told(pool: Pool, settings: Settings) -> Pool:
    """The pool with what the operator tells of it, and defaults. Prices and power are told per whole device."""
    told, assumed, share = settings_of(pool.name, settings), settings.pool_defaults, pool.accelerator.device_share
    market = told.market or pool.market
    return replace(
        pool,
        provider=told.provider or pool.provider,
        region=told.region or pool.region,
        market=market,
        min_nodes=told.min_nodes if told.min_nodes is not None else pool.min_nodes,
        max_nodes=told.max_nodes if told.max_nodes is not None else pool.max_nodes,
        lead_time=_or(told.lead_time, assumed.lead_time),
        price_usd_per_gpu_hour=_or(told.price_usd_per_gpu_hour, _default_price(market, assumed)) * share,
        watts_idle_per_gpu=_or(told.watts_idle_per_gpu, assumed.watts_idle_per_gpu) * share,
        watts_busy_per_gpu=_or(told.watts_busy_per_gpu, assumed.watts_busy_per_gpu) * share,
        carbon_g_per_kwh=_or(told.carbon_g_per_kwh, assumed.carbon_g_per_kwh),
    )


def _not_seen(told: Iterable[str], found: Sequence[Pool]) -> list[str]:
    known = {name for pool in found for name in (pool.name, pool.name.split(":", maxsplit=1)[0])}
    return [f"settings tell of pool {name}, which is not seen" for name in told if name not in known]


def _defaults_used(found: Sequence[Pool], settings: Settings) -> list[str]:
    """One sentence per field that was assumed, naming the pools."""
    notes = []
    for name, (what, unit) in _UNITS.items():
        missing = [p for p in found if getattr(settings_of(p.name, settings), name) is None]
        if missing:
            value = _assumed(name, unit, missing, settings.pool_defaults)
            notes.append(f"{what} of {_names(missing)} not told; {value} assumed; set pools.<name>.{name}")
    return notes


def _assumed(name: str, unit: str, missing: Sequence[Pool], defaults: PoolDefaults) -> str:
    value = getattr(defaults, name)
    text = unit.format(format_duration(value) if isinstance(value, timedelta) else value)
    if name == "price_usd_per_gpu_hour" and any(p.market is Market.SPOT for p in missing):
        text += f" ({_default_price(Market.SPOT, defaults):g} on spot)"
    return text


def _names(found: Sequence[Pool]) -> str:
    return f"{'pool' if len(found) == 1 else 'pools'} {', '.join(p.name for p in found)}"


def _default_price(market: Market, defaults: PoolDefaults) -> float:
    spot = market is Market.SPOT
    return defaults.price_usd_per_gpu_hour * (1.0 - defaults.spot_discount if spot else 1.0)


def _or(told: Value | None, default: Value) -> Value:
    return default if told is None else told


def _most(values: Iterable[str]) -> str:
    """The most common value that is not empty."""
    return next((value for value, _ in Counter(v for v in values if v).most_common(1)), "")
