from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from agents.pilots.kinds import kinds
from agents.pilots.outlook import courses, edges_hours, levels, outlook, stranded_gpus
from gyropilot.domain import ClusterState, Market, Pool, View
from tests.fakes import GPU, NOW, forecast, pool, queue, state

HALF_HOUR = timedelta(minutes=30)


def stranded(*idle: float, pending: float, waited: float | None = None) -> float:
    """With so many GPUs idle in each pool and waiting now, and a step ago."""
    pools = [pool(f"pool-{i}", idle_gpus=gpus, flavors=("h100",)) for i, gpus in enumerate(idle)]
    seen = state(pools, [queue(nominal=256, pending=pending)])
    seen.history.pending[:, -2] = pending if waited is None else waited
    (kind,) = kinds(seen, GPU)
    return stranded_gpus(seen, kind, GPU)


def at(seen: ClusterState, median: float, hour: float, *quantiles: float, age: timedelta = timedelta(0)) -> list[float]:
    """The courses of demand at one moment, of a flat forecast."""
    foretold = replace(forecast({"research": median}, spread=0.5), made_at=NOW - age)
    demand = courses(View(seen, foretold), GPU, np.array(quantiles), np.array([hour]))
    return [float(gpus) for gpus in demand[:, 0]]


def test_steps_grow_and_what_is_bought_comes_at_one_of_their_edges() -> None:
    edges = edges_hours([0.1, 0.5], 4.0)

    assert edges[0] == 0.0
    assert edges[-1] == 4.5
    assert {0.1, 0.5} <= set(edges.tolist())
    assert (np.diff(edges) > 0).all()
    assert len(edges) < 20


def test_nobody_can_write_to_steps_that_every_look_shares() -> None:
    view = View(state([pool()], [queue()]), forecast({"research": 0.0}))
    (kind,) = kinds(view.state, GPU)

    first, again = (outlook(view, kind, GPU, levels(0.5, 1), HALF_HOUR, HALF_HOUR).edges_hours for _ in range(2))

    assert again is first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1.0


def test_levels_are_evenly_likely_or_lean_to_the_safe_side() -> None:
    assert levels(0.5, 5).tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert levels(0.7, 1).tolist() == pytest.approx([0.7])
    assert levels(0.7, 3)[1] == pytest.approx(0.7)


def test_every_course_begins_at_what_is_asked_for_now() -> None:
    seen = state([pool()], [queue(running=20, pending=4)])

    assert at(seen, 40.0, 0.0, 0.1, 0.5, 0.9) == [24.0, 24.0, 24.0]
    assert at(seen, 40.0, 1.0, 0.1, 0.5, 0.9) == pytest.approx([24.0, 40.0, 56.0])


def test_what_has_come_since_the_forecast_was_made_stays() -> None:
    seen = state([pool()], [queue(running=24)])
    seen.history.running[:, :-1] = 16.0

    assert at(seen, 40.0, 1.0, 0.5) == [40.0]
    assert at(seen, 40.0, 1.0, 0.5, age=timedelta(minutes=10)) == [48.0]


def test_what_was_read_a_moment_after_a_forecast_was_made_has_come_since() -> None:
    seen = state([pool()], [queue(running=24)])
    seen.history.running[:, :-3], seen.history.running[:, -3:-1] = 20.0, 16.0

    assert at(seen, 40.0, 1.0, 0.5, age=timedelta(minutes=10)) == [48.0]
    assert at(seen, 40.0, 1.0, 0.5, age=timedelta(minutes=10, microseconds=1)) == [44.0]


def test_beyond_an_old_forecast_all_stays_as_it_is() -> None:
    assert at(state([pool()], [queue(running=24)]), 40.0, 1.0, 0.5, age=timedelta(days=2)) == [24.0]


def test_quotas_and_stopped_queues_bound_what_is_planned_for() -> None:
    tenants = [queue("research", nominal=40, running=16), queue("stopped", running=8, pending=99, active=False)]
    view = View(state([pool()], tenants), forecast({"research": 80.0, "stopped": 107.0}))
    (kind,) = kinds(view.state, GPU)

    ahead = outlook(view, kind, GPU, levels(0.5, 1), HALF_HOUR, HALF_HOUR)

    assert ahead.demand.max() == 48.0


def test_offers_are_what_pools_have_and_may_still_get() -> None:
    pools: tuple[Pool, ...] = (
        pool("own", market=Market.RESERVED, idle_gpus=32.0, flavors=("h100",)),
        pool("more", idle_gpus=12.0, dial_value=6, flavors=("h100",)),
        pool("foreign", idle_gpus=0.0, flavors=("other",)),
    )
    view = View(state(pools, [queue(nominal=256)]), forecast({"research": 0.0}))
    (kind,) = kinds(view.state, GPU)

    own, more, foreign = outlook(view, kind, GPU, levels(0.5, 1), HALF_HOUR, HALF_HOUR).offers

    assert (own.price_usd_per_hour, own.removable) == (0.0, 0.0)
    assert (more.there, more.coming, more.most, more.removable, more.start_up_usd) == (32, 16, 128, 8, 1.0)
    assert foreign.most == foreign.there


def test_gpus_idle_in_several_pools_are_of_no_use_to_a_gang_that_fits_in_none() -> None:
    assert stranded(16.0, 20.0, pending=32.0) == 16.0
    assert stranded(16.0, 20.0, pending=20.0) == 0.0
    assert stranded(36.0, pending=40.0) == 0.0


def test_a_gang_gathers_where_it_has_room() -> None:
    full = pool("own", idle_gpus=24.0, max_nodes=4, flavors=("h100",))
    other = pool("more", idle_gpus=16.0, flavors=("h100",))
    waits = queue(nominal=256, pending=40, largest_pending_gpus={GPU: 32.0})
    seen = state([full, other], [waits])
    (kind,) = kinds(seen, GPU)

    assert stranded_gpus(seen, kind, GPU) == 24.0


def test_gangs_that_may_not_run_here_strand_nothing() -> None:
    here = [pool("own", idle_gpus=16.0, flavors=("h100",)), pool("more", idle_gpus=20.0, flavors=("h100",))]
    mine = queue(nominal=256, pending=8, largest_pending_gpus={GPU: 8.0})
    huge = queue("vision", nominal=256, pending=32, largest_pending_gpus={GPU: 32.0})
    elsewhere, stopped = replace(huge, allowed_pools=("other",)), replace(huge, active=False)
    beyond_quota = replace(huge, quotas=queue("vision", nominal=16).quotas, cohort=None)

    for other, expected in ((elsewhere, 0.0), (stopped, 0.0), (beyond_quota, 0.0), (huge, 16.0)):
        seen = state(here, [mine, other])
        (kind,) = kinds(seen, GPU)

        assert stranded_gpus(seen, kind, GPU) == expected


@pytest.mark.parametrize(
    ("told", "untold", "expected"),
    [(8.0, 32.0, 16.0), (32.0, 8.0, 16.0), (8.0, 8.0, 0.0), (0.0, 32.0, 16.0)],
)
def test_a_queue_that_tells_no_gang_may_have_all_that_waits_in_one_whatever_others_tell(
    told: float, untold: float, expected: float
) -> None:
    here = [pool("own", idle_gpus=16.0, flavors=("h100",)), pool("more", idle_gpus=20.0, flavors=("h100",))]
    tells = queue("vision", nominal=256, pending=told, largest_pending_gpus={GPU: told})
    seen = state(here, [tells, queue(nominal=256, pending=untold)])
    seen.history.pending[:, -2] = (told, untold)
    (kind,) = kinds(seen, GPU)

    assert stranded_gpus(seen, kind, GPU) == expected


def test_no_gang_is_of_two_queues() -> None:
    here = [pool("own", idle_gpus=16.0, flavors=("h100",)), pool("more", idle_gpus=20.0, flavors=("h100",))]
    seen = state(here, [queue(nominal=256, pending=16), queue("vision", nominal=256, pending=16)])
    seen.history.pending[:, -2] = 16.0
    (kind,) = kinds(seen, GPU)

    assert stranded_gpus(seen, kind, GPU) == 0.0


def test_what_came_a_moment_ago_may_still_be_admitted() -> None:
    assert stranded(16.0, 20.0, pending=32.0, waited=0.0) == 0.0
