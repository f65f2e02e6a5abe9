from __future__ import annotations

from dataclasses import replace
from typing import Any

from agents import Provisioner, Step
from gyropilot.domain import Accelerator, Action, Dial, Intent, Market, Pool
from tests.fakes import GPU, pool, queue, state, view


def proposed(
    pools: list[Pool], wishes: dict[str, int], step: Step | None = None, why: str = "demand rises"
) -> list[Action]:
    intent = Intent("any", pool_gpus=wishes, reasons=dict.fromkeys(wishes, why))
    agent = Provisioner(step) if step else Provisioner()
    return agent.propose(view(state(pools, [queue(nominal=64)])), intent)


def turned(*args: Any, **how: Any) -> dict[str, tuple[int, int]]:
    return {a.subject: (a.before, a.after) for a in proposed(*args, **how)}


def limited(**changes: Any) -> Pool:
    """A Karpenter pool of four nodes that may grow to 40 GPUs."""
    return pool(dial=Dial.POOL_LIMIT, dial_target=f"nodepools.karpenter.sh/h100/{GPU}", dial_value=40, **changes)


def test_growth_is_rounded_up_to_whole_nodes() -> None:
    (action,) = proposed([pool()], {"h100": 9})

    assert (action.dial, action.target) == (Dial.POOL_SIZE, "nodepools.karpenter.sh/h100")
    assert (action.before, action.after, action.gpus) == (4, 6, 16)
    assert (action.subject, action.queue, action.resource) == ("h100", "", GPU)
    assert action.reason == "demand rises"


def test_growth_adds_to_what_is_asked_for_already() -> None:
    assert turned([pool(dial_value=6)], {"h100": 8}) == {"h100": (6, 7)}


def test_removal_is_rounded_down_to_whole_nodes() -> None:
    assert turned([pool()], {"h100": -15}) == {"h100": (4, 3)}
    assert turned([pool()], {"h100": -7}) == {}


def test_removal_spares_nodes_that_are_not_wholly_idle() -> None:
    assert turned([pool(idle_gpus=15.0)], {"h100": -32}) == {"h100": (4, 3)}


def test_removal_stops_at_the_least() -> None:
    assert turned([pool(min_nodes=2)], {"h100": -32}) == {"h100": (4, 2)}


def test_overflow_goes_to_the_next_cheapest_pool() -> None:
    pools = [
        pool("full", max_nodes=5),
        pool("dear", price_usd_per_gpu_hour=9.0, flavors=("h100",)),
        pool("cheap", price_usd_per_gpu_hour=1.0, flavors=("h100",), max_nodes=5),
    ]

    actions = proposed(pools, {"full": 24}, why="12 GPUs wait")

    assert {a.subject: a.after for a in actions} == {"full": 5, "dear": 5, "cheap": 5}
    assert [a.reason for a in actions if a.subject == "cheap"] == ["pool full has no room: 12 GPUs wait"]


def test_overflow_fills_reserved_first() -> None:
    pools = [
        pool("full", max_nodes=4),
        pool("cheap", price_usd_per_gpu_hour=1.0, flavors=("h100",)),
        pool("bought", price_usd_per_gpu_hour=9.0, market=Market.RESERVED, flavors=("h100",)),
    ]

    assert turned(pools, {"full": 8}) == {"bought": (4, 5)}


def test_overflow_never_turns_into_spot_unless_it_was_spot() -> None:
    spot = pool("spot", market=Market.SPOT, price_usd_per_gpu_hour=0.5, flavors=("h100",))
    other = pool("spot-b", market=Market.SPOT, price_usd_per_gpu_hour=0.5, flavors=("h100",), max_nodes=4)

    assert turned([pool(max_nodes=4), spot], {"h100": 8}) == {}
    assert turned([other, spot], {"spot-b": 8}) == {"spot": (4, 5)}


def test_overflow_stays_with_its_accelerator() -> None:
    a100 = pool("a100", accelerator=Accelerator(GPU, "NVIDIA-A100"), flavors=("h100",))

    assert turned([pool(max_nodes=4), a100], {"h100": 8}) == {}


def test_overflow_goes_nowhere_that_no_queue_may_run() -> None:
    assert turned([pool(max_nodes=4), pool("other", flavors=("other",))], {"h100": 8}) == {}


def test_overflow_meets_a_wish_to_shrink() -> None:
    pools = [pool("full", max_nodes=4), pool("other", flavors=("h100",))]

    assert turned(pools, {"full": 8, "other": -8}) == {}


def test_a_pool_without_a_dial_spills_or_drops_its_wish() -> None:
    fixed = pool("fixed", dial=None, dial_value=None)

    assert turned([fixed], {"fixed": 8}) == {}
    assert turned([fixed, pool("other", flavors=("h100",))], {"fixed": 8}) == {"other": (4, 5)}


def test_a_size_that_was_not_read_is_not_turned() -> None:
    assert turned([pool(dial_value=None)], {"h100": 8}) == {}


def test_a_limit_is_raised_to_make_room_for_growth() -> None:
    (action,) = proposed([limited()], {"h100": 12})

    assert (action.dial, action.before, action.after, action.gpus) == (Dial.POOL_LIMIT, 40, 48, 8)
    assert action.reason == "demand rises (a limit only allows growth)"


def test_a_limit_that_allows_the_growth_already_stays() -> None:
    assert turned([limited()], {"h100": 8}) == {}


def test_a_limit_that_is_not_set_allows_growth_already() -> None:
    other = pool("other", flavors=("h100",))

    assert turned([replace(limited(), dial_value=None), other], {"h100": 64}) == {}


def test_a_limit_is_lowered_to_what_stays() -> None:
    (action,) = proposed([limited(idle_gpus=16.0)], {"h100": -16})

    assert (action.before, action.after, action.gpus) == (40, 16, -24)
    assert action.reason == "demand rises (a limit only stops growth and removes no node)"


def test_a_limit_stays_where_no_node_may_go() -> None:
    assert turned([limited(idle_gpus=3.0)], {"h100": -8}) == {}


def test_a_large_wish_comes_in_allowed_steps() -> None:
    step = Step(max_share=0.25, max_gpus=64)

    assert turned([pool()], {"h100": 64}, step=step) == {"h100": (4, 5)}
    assert turned([pool(idle_gpus=32.0)], {"h100": -32}, step=step) == {"h100": (4, 3)}
    assert turned([limited()], {"h100": 64}, step=step) == {"h100": (40, 48)}


def test_a_limit_is_raised_by_a_node_at_least_because_less_allows_none() -> None:
    small = pool(dial=Dial.POOL_LIMIT, dial_target=f"nodepools.karpenter.sh/h100/{GPU}", dial_value=8, nodes=1)

    assert turned([small], {"h100": 64}, step=Step(max_share=0.25, max_gpus=64)) == {"h100": (8, 16)}


def test_unknown_pools_and_zero_wishes_change_nothing() -> None:
    assert turned([pool()], {"gone": 64, "h100": 0}) == {}


def test_removal_stops_at_the_least_although_a_node_is_still_going() -> None:
    assert turned([pool(dial_value=3, min_nodes=2)], {"h100": -32}) == {"h100": (3, 2)}
