"""What no sequence of reviews can bring about, whatever the agents wish and whatever becomes of the writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.domain import Action, ClusterState, Queue, Turn
from gyropilot.guardrails import guardrails
from gyropilot.guardrails.protocol import Situation
from gyropilot.guardrails.review import review
from gyropilot.settings import Settings
from tests.fakes import GPU, NOW, pool, queue, state, workload
from tests.guardrails.situations import pause, quota, requota, resize

# As loose as it goes, so that nothing but the floors can hold a wish back.
LOOSE = Settings.model_validate(
    {
        "guardrails": {
            "max_step_share": 1.0,
            "max_step_gpus": 10_000,
            "max_moved_gpus": 100_000,
            "max_added_usd": 1e9,
            "max_lost_gpu_hours": 1e9,
            "cooldown": "0s",
            "reversal_cooldown": "0s",
            "min_runtime": "0s",
        },
        "queues": {"guarded": {"guaranteed_gpus": 6}, "shielded": {"protected": True}},
    }
)
FLAVORS = ("h100", "a100")
QUEUES = ("guarded", "shielded", "shared")


def cluster() -> ClusterState:
    """Three queues with 8 + 8 GPUs of quota each on two pools of 16 GPUs."""
    queues = [queue(name, quotas=tuple(quota(name, 8, f) for f in FLAVORS)) for name in QUEUES]
    pools = [pool(f, nodes=2, ready_nodes=2, dial_value=2, idle_gpus=16.0, flavors=(f,)) for f in FLAVORS]
    return state(pools, queues)


ENTITLED = {q.dial_target: q.nominal_gpus for queue_ in cluster().queues for q in queue_.quotas}

Wish = tuple[str, str, int, bool]  # queue, flavor, wanted quota, whether the write succeeds
wishes = st.tuples(st.sampled_from(QUEUES), st.sampled_from(FLAVORS), st.integers(0, 12), st.booleans())


def nominal(seen: ClusterState, name: str, flavor: str) -> int:
    return next(q.nominal_gpus for q in seen.queue(name).quotas if q.flavor == flavor)


def actions(seen: ClusterState, wanted: Sequence[Wish]) -> list[tuple[Action, bool]]:
    return [(requota(n, nominal(seen, n, f), gpus, f), written) for n, f, gpus, written in wanted]


def turned(seen: ClusterState, action: Action) -> ClusterState:
    def after(of: Queue) -> Queue:
        quotas = (replace(q, nominal_gpus=action.after) if q.dial_target == action.target else q for q in of.quotas)
        return replace(of, quotas=tuple(quotas))

    return replace(seen, queues=tuple(after(q) for q in seen.queues))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(wishes, min_size=1, max_size=6), max_size=8))
def test_no_sequence_of_reviews_pushes_a_queue_below_its_guarantee(cycles: list[list[Wish]]) -> None:
    seen, rules = cluster(), [rule for rule in guardrails(LOOSE) if rule.name != "cohort-total"]
    for wanted in cycles:
        asked = actions(seen, wanted)
        verdicts = review([a for a, _ in asked], rules, Situation(NOW, seen, entitled_gpus=ENTITLED))
        for verdict, (_, written) in zip(verdicts, asked, strict=True):
            seen = turned(seen, verdict.action) if verdict.approved and written else seen

        assert seen.queue("guarded").nominal_gpus() >= 6
        assert seen.queue("shielded").nominal_gpus() >= 16
        assert seen.queue("shared").nominal_gpus() >= 8


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(wishes, min_size=1, max_size=6), max_size=8))
def test_quota_never_promises_more_than_was_promised_or_is_there(cycles: list[list[Wish]]) -> None:
    """24 GPUs of quota per flavor on 16 GPUs, all writes done."""
    seen, rules = cluster(), guardrails(LOOSE)
    for wanted in cycles:
        verdicts = review([a for a, _ in actions(seen, wanted)], rules, Situation(NOW, seen, entitled_gpus=ENTITLED))
        for verdict in verdicts:
            seen = turned(seen, verdict.action) if verdict.approved else seen

        assert all(sum(nominal(seen, name, flavor) for name in QUEUES) <= 24 for flavor in FLAVORS)


moves = st.tuples(st.permutations(QUEUES), st.sampled_from(FLAVORS), st.integers(1, 4))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(moves, min_size=1, max_size=3, unique_by=lambda m: m[1]), max_size=6), st.randoms())
def test_quota_is_neither_made_nor_lost_whatever_else_is_held_back(
    cycles: list[list[tuple[list[str], str, int]]], chance: Random
) -> None:
    """From one queue to the two others, any wish of which may meet another objection."""
    seen, rules = cluster(), guardrails(LOOSE)
    for wanted in cycles:
        asked = []
        for (giver, one, other), flavor, gpus in wanted:
            shares = (giver, -2 * gpus), (one, gpus), (other, gpus)
            asked += [requota(n, nominal(seen, n, flavor), nominal(seen, n, flavor) + d, flavor) for n, d in shares]
        allowed = [a for a in asked if a.after >= 0 and chance.random() < 0.8]
        for verdict in review(allowed, rules, Situation(NOW, seen, entitled_gpus=ENTITLED)):
            seen = turned(seen, verdict.action) if verdict.approved else seen

        assert all(sum(nominal(seen, name, flavor) for name in QUEUES) == 24 for flavor in FLAVORS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(wishes, st.integers(0, 30)), max_size=20))
def test_with_everything_as_by_default_all_limits_hold_at_once(wanted: list[tuple[Wish, int]]) -> None:
    turns: list[Turn] = []
    # One wish at a time has no counterpart.
    rules = [rule for rule in guardrails(Settings()) if rule.name != "cohort-total"]
    seen, now = cluster(), NOW
    for (name, flavor, gpus, _), minutes in wanted:
        now += timedelta(minutes=minutes)
        at = Situation(now, replace(seen, seen_at=now), tuple(turns), entitled_gpus=ENTITLED)
        (verdict,) = review([requota(name, nominal(seen, name, flavor), gpus, flavor)], rules, at)
        if verdict.approved:
            turns.append(Turn(now, verdict.action))
            seen = turned(seen, verdict.action)

    assert sum(max(0, turn.action.after - max(8, turn.action.before)) for turn in turns) <= 128
    assert all(abs(turn.action.delta) <= max(1, turn.action.before // 4) for turn in turns)
    assert all(queue_.nominal_gpus() >= 8 for queue_ in seen.queues)


gangs = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(gangs, st.integers(0, 40), st.integers(0, 24))
def test_no_review_takes_a_queue_below_what_is_guaranteed_or_more_than_others_lack(
    borrowed: list[tuple[int, int]], pending: int, running: int
) -> None:
    work = [workload(f"job{i}", "shared", gpus, priority=p) for i, (gpus, p) in enumerate(borrowed)]
    total = sum(gpus for gpus, _ in borrowed)
    seen = state(
        queues=[
            queue("shared", 16, running=float(total)),
            queue("waiting", 16, running=float(running), pending=float(pending), priority=3),
        ],
        workloads=work,
    )
    wanted = [pause(w.name, "shared", w.gpus, w.lost_gpu_hours(NOW)) for w in work]

    taken = [v.action for v in review(wanted, guardrails(LOOSE), Situation(NOW, seen)) if v.approved]

    lack = max(0, min(pending, 16 - running))
    left = total - sum(abs(action.gpus) for action in taken)
    assert not taken or left >= 8
    assert sum(abs(action.gpus) for action in taken[:-1]) < max(1, lack)
    assert not taken or total > 16


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4), st.integers(0, 32))
def test_no_pool_is_shrunk_from_under_its_work(after: int, idle: int) -> None:
    seen = state([pool(idle_gpus=float(idle))], [queue()])

    (verdict,) = review([resize(4, after)], guardrails(LOOSE), Situation(NOW, seen))

    assert not verdict.approved or after * 8 >= 32 - idle


@settings(max_examples=100, deadline=None)
@given(st.lists(wishes, min_size=2, max_size=5, unique_by=lambda wish: wish[:2]), st.randoms())
def test_lowering_wishes_of_different_queues_are_judged_alike_in_any_order(wanted: list[Wish], chance: Random) -> None:
    seen, rules = cluster(), [rule for rule in guardrails(LOOSE) if rule.name != "cohort-total"]
    one_per_queue = {name: (name, f, min(gpus, 7), w) for name, f, gpus, w in wanted}
    lowered = [action for action, _ in actions(seen, list(one_per_queue.values()))]
    shuffled = list(lowered)
    chance.shuffle(shuffled)

    judged = {v.action: v for v in review(lowered, rules, Situation(NOW, seen, entitled_gpus=ENTITLED))}
    again = {v.action: v for v in review(shuffled, rules, Situation(NOW, seen, entitled_gpus=ENTITLED))}

    assert judged == again


def test_the_cluster_above_is_what_it_says() -> None:
    assert ENTITLED[f"guarded/h100/{GPU}"] == 8
    assert [p.gpus for p in cluster().pools] == [16, 16]
