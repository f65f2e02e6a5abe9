"""Lent quota over many cycles, with agents and guardrails as by default: it comes back, in steps, and rests then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from agents import make_agents, propose_all
from agents.pilots import Newsvendor
from gyropilot.domain import Action, ClusterState, Dial, Queue, Turn, View
from gyropilot.guardrails import guardrails
from gyropilot.guardrails.protocol import Situation
from gyropilot.guardrails.review import review
from gyropilot.settings import Settings
from tests.fakes import GPU, NOW, forecast, pool, queue, state

EVERY = timedelta(minutes=15)
OWN = 32


def tenant(name: str, nominal: int, running: int, wanted: int) -> Queue:
    base = queue(name, nominal, running=running, pending=wanted - running)
    return replace(base, quotas=(replace(base.quotas[0], entitled_gpus=OWN),))


def seen(quotas: dict[str, int], owner_wants: int, cycle: int) -> ClusterState:
    """The taker always wants more; one of its gangs of up to eight has just ended."""
    taker_runs = (quotas["taker"] - 1) // 8 * 8
    owner_runs = min(owner_wants, quotas["owner"])
    tenants = [
        tenant("owner", quotas["owner"], owner_runs, owner_wants),
        tenant("taker", quotas["taker"], taker_runs, taker_runs + 40),
    ]
    nodes = pool(nodes=8, ready_nodes=8, dial_value=8, max_nodes=8, idle_gpus=64.0 - owner_runs - taker_runs)
    return replace(state([nodes], tenants), seen_at=NOW + cycle * EVERY)


def approved(at: ClusterState, turns: list[Turn]) -> list[Action]:
    demand = forecast({q.name: q.demand_gpus(GPU) for q in at.queues})
    view = View(at, demand)
    wishes = propose_all(view, Newsvendor().steer(view), make_agents(Settings()))
    verdicts = review(wishes, guardrails(Settings()), Situation(at.seen_at, at, tuple(turns)))
    return [v.action for v in verdicts if v.approved and v.action.dial is Dial.QUEUE_QUOTA]


def run(owner_wants: list[int], refused: frozenset[tuple[int, str]] = frozenset()) -> list[int]:
    """The owner's quota after each cycle; some writes, by cycle and queue, are refused by the API server."""
    quotas, turns, told = {"owner": OWN, "taker": OWN}, list[Turn](), list[int]()
    for cycle, wanted in enumerate(owner_wants):
        at = seen(quotas, wanted, cycle)
        for action in approved(at, turns):
            if (cycle, action.queue) not in refused:
                quotas[action.queue] = action.after
                turns.append(Turn(at.seen_at, action))
        assert sum(quotas.values()) <= 2 * OWN
        told.append(quotas["owner"])
    return told


def test_an_owner_that_was_quiet_for_half_a_day_gets_its_quota_back_within_the_allowed_steps() -> None:
    quiet, busy = 48, 52

    owner = run([0] * quiet + [32] * busy)

    assert owner[:4] == [24, 18, 16, 16]
    assert set(owner[3:quiet]) == {16}
    assert owner[quiet:] == sorted(owner[quiet:])
    assert owner[quiet + 6] == OWN
    assert set(owner[quiet + 6 :]) == {OWN}


def test_quota_that_a_refused_raise_left_with_nobody_is_given_out_again() -> None:
    owner = run([0] * 8, refused=frozenset({(0, "taker")}))

    assert owner[0] == 24
    assert owner[-1] == 16
