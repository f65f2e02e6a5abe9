"""What holds in every cluster, whatever is seen and whoever wishes."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from agents import ALL_AGENTS, Preemptor, Provisioner, Rebalancer, Step, propose_all
from agents.pilots import ALL_PILOTS, Newsvendor, Reactive
from gyropilot.domain import Action, Dial, Intent, Line, Pool, View
from tests.agents.worlds import in_any_world, intents, views, with_waiting_cost

CAPPED = Step(max_share=0.25, max_gpus=64)


def whole(view: View, gpus: int, pool: str) -> bool:
    return gpus % view.state.pool(pool).gpus_per_node == 0


@in_any_world
@given(views(), intents())
def test_the_provisioner_stays_within_the_range_of_each_pool(view: View, intent: Intent) -> None:
    actions = Provisioner().propose(view, intent)

    for action in actions:
        pool = view.state.pool(action.subject)
        per_node = 1 if action.dial is Dial.POOL_SIZE else pool.gpus_per_node
        most = action.after if pool.max_nodes is None else max(action.before, pool.max_nodes * per_node)
        assert min(action.before, pool.min_nodes * per_node) <= action.after <= most


@in_any_world
@given(views(), intents())
def test_the_provisioner_never_shrinks_below_what_is_busy(view: View, intent: Intent) -> None:
    actions = [a for a in Provisioner().propose(view, intent) if a.dial is Dial.POOL_SIZE and a.delta < 0]

    for action in actions:
        pool = view.state.pool(action.subject)
        assert action.after * pool.gpus_per_node >= pool.gpus - pool.idle_gpus


@in_any_world
@given(views(), intents())
def test_the_provisioner_turns_each_dial_once_and_from_what_was_seen(view: View, intent: Intent) -> None:
    actions = Provisioner().propose(view, intent)

    assert len({a.subject for a in actions}) == len(actions)
    assert all(a.before == view.state.pool(a.subject).dial_value != a.after for a in actions)
    assert all(a.gpus == a.delta * _gpus_per_unit(view.state.pool(a.subject)) for a in actions)


def _gpus_per_unit(pool: Pool) -> int:
    return pool.gpus_per_node if pool.dial is Dial.POOL_SIZE else 1


@in_any_world
@given(views(), intents(), st.sampled_from((Step(), CAPPED)))
def test_rebalancing_conserves_every_cohort_and_flavor(view: View, intent: Intent, step: Step) -> None:
    actions = Rebalancer(step).propose(view, intent)

    sums: dict[tuple[str | None, str], int] = defaultdict(int)
    for action in actions:
        _, flavor, _ = action.target.split("/", 2)
        sums[view.state.queue(action.queue).cohort, flavor] += action.delta
    assert all(total == 0 for total in sums.values())
    assert all(cohort is not None for cohort, _ in sums)


@in_any_world
@given(views(), intents())
def test_rebalancing_never_exceeds_a_sum_on_the_way(view: View, intent: Intent) -> None:
    actions = Rebalancer().propose(view, intent)

    sums: dict[tuple[str | None, str], int] = defaultdict(int)
    for action in actions:
        key = view.state.queue(action.queue).cohort, action.target.split("/", 2)[1]
        sums[key] += action.delta
        assert sums[key] <= 0


@in_any_world
@given(views(), intents())
def test_rebalancing_takes_no_quota_that_is_used_or_guaranteed(view: View, intent: Intent) -> None:
    actions = Rebalancer().propose(view, intent)

    for action in [a for a in actions if a.delta < 0]:
        queue = view.state.queue(action.queue)
        quota = next(q for q in queue.quotas if q.dial_target == action.target)
        assert action.after >= quota.used_gpus
        assert action.after >= 0
    for queue in view.state.queues:
        left = queue.nominal_gpus() + sum(a.delta for a in actions if a.queue == queue.name)
        assert left >= min(queue.nominal_gpus(), queue.guaranteed_gpus or 0)


@in_any_world
@given(views(), intents())
def test_rebalancing_leaves_stopped_queues_alone(view: View, intent: Intent) -> None:
    touched = {a.queue for a in Rebalancer().propose(view, intent)}

    assert all(view.state.queue(name).active for name in touched)


@in_any_world
@given(views(), intents())
def test_a_capped_step_is_never_exceeded(view: View, intent: Intent) -> None:
    actions = [*Provisioner(CAPPED).propose(view, intent), *Rebalancer(CAPPED).propose(view, intent)]

    node = {p.dial_target: p.gpus_per_node for p in view.state.pools if p.dial is Dial.POOL_LIMIT}
    for action in actions:
        assert abs(action.delta) <= max(1, int(0.25 * action.before), node.get(action.target, 1))
        assert abs(action.gpus) <= 64


@in_any_world
@given(views(), intents())
def test_the_preemptor_pauses_only_what_it_may(view: View, intent: Intent) -> None:
    actions = Preemptor().propose(view, intent)

    by_target = {w.dial_target: w for w in view.state.workloads}
    paused = [by_target[a.target] for a in actions]
    assert all(w.active and w.started and w.protected is None and w.dial_target for w in paused)
    assert len({a.target for a in actions}) == len(actions)


@in_any_world
@given(views(), intents())
def test_the_preemptor_pauses_no_gang_in_vain(view: View, intent: Intent) -> None:
    actions = Preemptor().propose(view, intent)

    for line, asked in intent.reclaim_gpus.items():
        freed = [-a.gpus for a in actions if Line(a.queue, a.resource) == line]
        assert not freed or sum(freed) - min(freed) < asked
        assert sum(freed) < asked + max(freed, default=1)


@in_any_world
@given(views())
def test_nothing_is_paused_when_nothing_is_asked(view: View) -> None:
    assert Preemptor().propose(view, Intent("any")) == []


@in_any_world
@given(views(), intents())
def test_every_action_names_its_subject_and_expects_finite_figures_in_order(view: View, intent: Intent) -> None:
    actions = propose_all(view, intent)

    for action in actions:
        assert action.subject
        for figure in (action.expected.usd, action.expected.waiting_gpu_hours, action.expected.kwh):
            assert float("-inf") < figure.low <= figure.mid <= figure.high < float("inf")
        assert action.expected.lost_gpu_hours >= 0


@in_any_world
@given(views())
def test_every_pilot_wishes_only_for_what_was_seen_and_says_why(view: View) -> None:
    for pilot in ALL_PILOTS:
        intent = pilot.steer(view)

        assert intent.pilot == pilot.name
        assert set(intent.pool_gpus) <= {p.name for p in view.state.pools}
        assert {line.queue for line in (*intent.quota_gpus, *intent.reclaim_gpus)} <= {
            q.name for q in view.state.queues
        }
        assert all(intent.why(s) for s in (*intent.pool_gpus, *intent.quota_gpus, *intent.reclaim_gpus))
        assert all(gpus for gpus in intent.pool_gpus.values())


@in_any_world
@given(views())
def test_every_pilot_answers_the_same_twice(view: View) -> None:
    for pilot in ALL_PILOTS:
        assert pilot.steer(view) == pilot.steer(view)


@in_any_world
@given(views())
def test_every_pilot_removes_only_whole_idle_nodes(view: View) -> None:
    for pilot in ALL_PILOTS:
        for name, gpus in pilot.steer(view).pool_gpus.items():
            pool = view.state.pool(name)
            assert gpus > 0 or (whole(view, gpus, name) and -gpus <= pool.idle_gpus)


@in_any_world
@given(views())
def test_newsvendor_never_leaves_a_pool_smaller_than_reactive(view: View) -> None:
    floor = Reactive().steer(view).pool_gpus
    wanted = Newsvendor(preempt=False).steer(view).pool_gpus

    assert all(wanted.get(p.name, 0) >= floor.get(p.name, 0) for p in view.state.pools)


@in_any_world
@given(views(), st.floats(0, 50), st.floats(0, 50))
def test_dearer_waiting_never_buys_less(view: View, cheap: float, more: float) -> None:
    before = Newsvendor().steer(with_waiting_cost(view, cheap)).pool_gpus
    after = Newsvendor().steer(with_waiting_cost(view, cheap + more)).pool_gpus

    assert sum(after.values()) >= sum(before.values())


@in_any_world
@given(views())
def test_newsvendor_conserves_every_cohorts_quota(view: View) -> None:
    moves = Newsvendor().steer(view).quota_gpus

    sums: dict[tuple[str | None, str], int] = defaultdict(int)
    for line, gpus in moves.items():
        queue = view.state.queue(line.queue)
        assert queue.active
        assert queue.nominal_gpus(line.resource) + gpus >= 0
        sums[queue.cohort, line.resource] += gpus
    assert all(total == 0 for total in sums.values())


@in_any_world
@given(views())
def test_newsvendor_asks_back_no_more_than_was_borrowed(view: View) -> None:
    for line, gpus in Newsvendor().steer(view).reclaim_gpus.items():
        queue = view.state.queue(line.queue)
        assert 0 < gpus <= queue.running_gpus[line.resource] - queue.nominal_gpus(line.resource)


@in_any_world
@given(views(), intents())
def test_wishes_for_what_is_not_there_change_nothing(view: View, intent: Intent) -> None:
    known = {p.name for p in view.state.pools} | {q.name for q in view.state.queues}
    seen = Intent(
        "any",
        {name: gpus for name, gpus in intent.pool_gpus.items() if name in known},
        {line: gpus for line, gpus in intent.quota_gpus.items() if line.queue in known},
        {line: gpus for line, gpus in intent.reclaim_gpus.items() if line.queue in known},
    )

    def proposed(wishes: Intent) -> list[Action]:
        return [action for agent in ALL_AGENTS for action in agent.propose(view, wishes)]

    assert proposed(intent) == proposed(seen)
