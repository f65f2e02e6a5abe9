from __future__ import annotations

from dataclasses import replace

from agents import Rebalancer, Step
from gyropilot.domain import ALL_QUEUES, Accelerator, Action, Dial, Intent, Line, Queue, Quota
from tests.fakes import GPU, H100, pool, queue, state, view


def proposed(queues: list[Queue], asks: dict[str, int], agent: Rebalancer | None = None) -> list[Action]:
    lines = {Line(name, GPU): gpus for name, gpus in asks.items()}
    intent = Intent("any", quota_gpus=lines, reasons={str(line): f"{line.queue} has its reason" for line in lines})
    return (agent or Rebalancer()).propose(view(state([pool()], queues)), intent)


def turned(queues: list[Queue], asks: dict[str, int], agent: Rebalancer | None = None) -> dict[str, tuple[int, int]]:
    """Before and after per queue and flavor."""
    actions = proposed(queues, asks, agent)
    return {a.target.removesuffix(f"/{GPU}"): (a.before, a.after) for a in actions}


def with_flavors(name: str, **nominal: int) -> Queue:
    quotas = tuple(Quota(f, H100, gpus, dial_target=f"{name}/{f}/{GPU}") for f, gpus in nominal.items())
    return queue(name, quotas=quotas)


def test_quota_goes_from_giver_to_taker_giver_first() -> None:
    first, second = proposed([queue("taker", 8), queue("zz-giver", 16)], {"taker": 4, "zz-giver": -4})

    assert (first.target, first.before, first.after) == (f"zz-giver/h100/{GPU}", 16, 12)
    assert (second.target, second.before, second.after) == (f"taker/h100/{GPU}", 8, 12)
    assert (second.dial, second.queue, second.resource, second.gpus) == (Dial.QUEUE_QUOTA, "taker", GPU, 4)
    assert second.reason == "taker has its reason"


def test_takers_get_no_more_than_givers_give() -> None:
    queues = [queue("giver", 16), queue("a", 8), queue("b", 8)]

    assert turned(queues, {"giver": -6, "a": 8, "b": 4}) == {
        "giver/h100": (16, 10),
        "a/h100": (8, 12),
        "b/h100": (8, 10),
    }


def test_givers_give_no_more_than_takers_take() -> None:
    assert turned([queue("giver", 16), queue("a", 8)], {"giver": -6, "a": 2}) == {
        "giver/h100": (16, 14),
        "a/h100": (8, 10),
    }


def test_a_flavor_moves_only_to_who_has_it() -> None:
    giver = with_flavors("giver", h100=8, a100=8)
    taker = with_flavors("taker", a100=4)

    assert turned([giver, taker], {"giver": -12, "taker": 12}) == {"giver/a100": (8, 0), "taker/a100": (4, 12)}


def test_flavors_that_few_share_are_moved_first() -> None:
    giver = with_flavors("giver", common=8, rare=8)
    picky = with_flavors("picky", rare=0)
    easy = with_flavors("easy", common=0)
    other = with_flavors("other", common=0)

    moved = turned([giver, picky, easy, other], {"giver": -8, "picky": 4, "easy": 4})

    assert moved == {"giver/rare": (8, 4), "giver/common": (8, 4), "picky/rare": (0, 4), "easy/common": (0, 4)}


def test_used_quota_is_not_given() -> None:
    assert turned([queue("giver", 16, running=13), queue("a", 8)], {"giver": -8, "a": 8}) == {
        "giver/h100": (16, 13),
        "a/h100": (8, 11),
    }


def test_guaranteed_quota_is_not_given() -> None:
    told = queue("giver", 16, guaranteed_gpus=14)

    assert turned([told, queue("a", 8)], {"giver": -8, "a": 8}) == {"giver/h100": (16, 14), "a/h100": (8, 10)}


def lent(name: str, nominal: int, entitled: int, flavor: str = "h100") -> Quota:
    return Quota(flavor, H100, nominal, entitled_gpus=entitled, dial_target=f"{name}/{flavor}/{GPU}")


def test_a_share_of_the_entitled_quota_is_not_given() -> None:
    giver, taker = queue("giver", quotas=(lent("giver", 12, 20),)), queue("a", quotas=(lent("a", 16, 8),))

    agent = Rebalancer(guaranteed_share=0.5)

    assert turned([giver, taker], {"giver": -8, "a": 8}, agent) == {"giver/h100": (12, 10), "a/h100": (16, 18)}


def test_quota_that_nobody_has_needs_no_giver() -> None:
    owner = queue("owner", quotas=(lent("owner", 12, 16),))

    assert turned([owner, queue("b", 16)], {"owner": 8}) == {"owner/h100": (12, 16)}
    assert turned([owner, queue("b", 16)], {"b": 2}) == {"b/h100": (16, 18)}


def test_quota_goes_home_in_the_flavor_in_which_it_was_lent() -> None:
    owner = queue("owner", quotas=(lent("owner", 8, 8, "a100"), lent("owner", 4, 8)))
    other = queue("other", quotas=(lent("other", 8, 8, "a100"), lent("other", 12, 8)))

    assert turned([owner, other], {"other": -4, "owner": 4}) == {"other/h100": (12, 8), "owner/h100": (4, 8)}


def test_a_queue_alone_gets_back_what_it_once_gave() -> None:
    owner = queue("owner", quotas=(lent("owner", 12, 16),), cohort=None)

    assert turned([owner, queue("b", 16, cohort=None)], {"owner": 8}) == {"owner/h100": (12, 16)}


def test_a_queue_that_is_kept_gives_nothing() -> None:
    agent = Rebalancer(keep=frozenset({"giver"}))

    assert turned([queue("giver", 16), queue("a", 8)], {"giver": -8, "a": 8}, agent) == {}


def test_a_quota_without_a_dial_stays() -> None:
    fixed = replace(queue("giver", 16).quotas[0], dial_target="")

    assert turned([queue("giver", quotas=(fixed,)), queue("a", 8)], {"giver": -8, "a": 8}) == {}


def test_nothing_crosses_cohorts() -> None:
    queues = [queue("giver", 16, cohort="left"), queue("a", 8, cohort="right")]

    assert turned(queues, {"giver": -8, "a": 8}) == {}


def test_a_wish_to_give_without_a_taker_moves_nothing() -> None:
    assert turned([queue("giver", 16), queue("a", 8)], {"giver": -8}) == {}


def test_large_moves_come_in_allowed_steps() -> None:
    agent = Rebalancer(Step(max_share=0.25, max_gpus=64))

    assert turned([queue("giver", 16), queue("a", 8)], {"giver": -8, "a": 8}, agent) == {
        "giver/h100": (16, 14),
        "a/h100": (8, 10),
    }


def test_resources_are_kept_apart() -> None:
    amd = Accelerator("amd.com/gpu")
    quota = Quota("mi300", amd, 16, dial_target="giver/mi300/amd.com/gpu")
    queues = [queue("giver", quotas=(*queue("giver", 16).quotas, quota)), queue("a", 8)]
    lines = {Line("giver", "amd.com/gpu"): -8, Line("a", GPU): 8}

    assert Rebalancer().propose(view(state([pool()], queues)), Intent("any", quota_gpus=lines)) == []


def test_unknown_queues_change_nothing() -> None:
    assert turned([queue("giver", 16), queue("a", 8)], {"gone": -8, ALL_QUEUES: -8, "a": 8}) == {}


def test_a_giver_gives_what_it_was_asked_once_over_all_flavors() -> None:
    giver, taker = with_flavors("giver", a100=8, h100=8), with_flavors("taker", a100=0, h100=0)

    assert turned([giver, taker], {"giver": -10, "taker": 16}) == {
        "giver/a100": (8, 0),
        "giver/h100": (8, 6),
        "taker/a100": (0, 8),
        "taker/h100": (0, 2),
    }


def test_a_taker_takes_what_it_wants_once_over_all_flavors() -> None:
    giver, taker = with_flavors("giver", a100=8, h100=8), with_flavors("taker", a100=0, h100=0)

    assert turned([giver, taker], {"giver": -16, "taker": 8}) == {"giver/a100": (8, 0), "taker/a100": (0, 8)}
