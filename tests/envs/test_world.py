"""The simulated cluster, against hand-made cases, its own books, and the replay that was checked against Kueue."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.replay import Cluster, Share, Shares, replay
from envs.terms import Flows, PoolTerms
from envs.workloads import KINDS, Floats, JobTable, TrainingProfile, generate
from envs.world import STEP_S, Run, Weather, World
from tests.envs.test_replay import Job, table

HOUR_S = 3_600.0
HOUR = round(HOUR_S / STEP_S)
"""Steps."""


def pool(name: str = "x", **terms: object) -> PoolTerms:
    base = PoolTerms(name, nodes=2, max_nodes=8, gpus_per_node=4, lead_s=2 * STEP_S)
    return replace(base, **terms)  # type: ignore[arg-type]


def one(jobs: Sequence[Job], *pools: PoolTerms, steps: int = 48, weather: Weather | None = None, **more: object) -> Run:
    pools = pools or (pool(),)
    told = table(jobs)
    told = replace(told, checkpoint_s=np.full(len(told), more.pop("checkpoint_s", np.inf)))
    return World(pools, **more).begin(told, weather or Weather.calm(pools, steps))  # type: ignore[arg-type]


def run(world: Run, nodes: Sequence[int], steps: int) -> Flows:
    """What flowed in some steps in which so many nodes are wanted of each pool: (steps, 1, ...)."""
    flows = [world.step(np.array([nodes])) for _ in range(steps)]
    return Flows(*(np.stack(part) for part in zip(*flows, strict=True)))


def starts(world: Run) -> list[float]:
    found: list[float] = world.sites.state.runs.start_s[0].tolist()
    return found


def test_a_job_starts_where_its_gpus_are_free_and_waits_where_not() -> None:
    world = one([("a", 10, 600, 4), ("a", 20, 600, 8), ("b", 30, 60, 4)])

    run(world, [2], 12)

    assert starts(world) == [10.0, 610.0, 30.0]


def test_nodes_come_when_their_lead_time_is_over_and_cost_from_then_on() -> None:
    world = one([("a", 0, 7_200, 16)])

    flows = run(world, [4], 4)

    assert starts(world) == [2 * STEP_S]
    assert flows.asked[:, 0, 0].tolist() == [2, 0, 0, 0]
    assert (flows.there[:, 0, 0] * 12).tolist() == pytest.approx([8, 8, 16, 16])  # GPUs
    assert (flows.waiting[:, 0, 0] * 12).tolist() == pytest.approx([16, 16, 0, 0])


def test_what_was_asked_for_is_not_asked_for_again() -> None:
    world = one([], pool(lead_s=5 * STEP_S))

    flows = run(world, [5], 4)

    assert flows.asked[:, 0, 0].tolist() == [3, 0, 0, 0]


def test_a_pool_keeps_to_its_limits() -> None:
    world = one([], pool(min_nodes=1, max_nodes=3, lead_s=0.0))

    run(world, [9], 1)
    most = world.sites.nodes.there[0, 0]
    run(world, [0], 1)

    assert (most, world.sites.nodes.there[0, 0]) == (3, 1)


def test_only_idle_nodes_leave() -> None:
    world = one([("a", 0, HOUR_S, 4)])

    run(world, [2], 1)
    flows = run(world, [0], HOUR)

    assert (flows.there[:, 0, 0] * 12).tolist() == pytest.approx([4] * (HOUR - 1) + [0])
    assert world.sites.state.runs.end_s[0, 0] == HOUR_S


def test_a_node_that_leaves_early_is_paid_for_as_long_as_it_is_billed_at_least() -> None:
    world = one([], pool(nodes=0, lead_s=0.0, billed_at_least_s=4 * STEP_S))

    flows = [run(world, [n], 1) for n in (1, 1, 0, 0)]

    paid = [(each.there + each.unused)[0, 0, 0] * 12 for each in flows]
    assert paid == pytest.approx([4, 4, 8, 0])  # come, stay, leave, gone
    assert [each.there[0, 0, 0] * 12 for each in flows] == pytest.approx([4, 4, 0, 0])


def test_a_lost_node_costs_the_work_since_the_last_checkpoint_and_a_restart() -> None:
    weather = Weather.calm((pool(),), 48)
    weather.loss[0, 3] = 0.5
    world = one([("a", 0, 6_000, 8)], weather=weather, checkpoint_s=400.0, restart_s=100.0)

    flows = run(world, [2], 30)

    # 900 s were done, 800 s were saved; the other node comes back two steps after it was asked for.
    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx((100 + 100) * 8)
    assert world.sites.state.runs.end_s[0, 0] == pytest.approx(1_500 + 100 + 5_200)


def test_a_job_that_tells_its_own_restart_costs_that() -> None:
    weather = Weather.calm((pool(),), 48)
    weather.loss[0, 3] = 1.0
    jobs = replace(table([("a", 0, 6_000, 4), ("a", 0, 6_000, 4)]), restart_s=np.array([30.0, np.nan]))
    jobs = replace(jobs, checkpoint_s=np.full(2, 300.0))
    world = World((pool(),), restart_s=100.0).begin(jobs, weather)

    flows = run(world, [2], 30)

    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx((30 + 100) * 4)


def test_jobs_without_checkpoints_begin_anew() -> None:
    weather = Weather.calm((pool(),), 48)
    weather.loss[0, 3] = 1.0
    world = one([("a", 0, 1_800, 8)], weather=weather, restart_s=0.0)

    flows = run(world, [2], 20)

    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx(900 * 8)
    assert world.sites.state.runs.end_s[0, 0] == pytest.approx(1_500 + 1_800)


def test_gpus_are_taken_back_where_least_work_is_lost_and_go_on_after_a_while() -> None:
    world = one([("a", 0, 4_000, 4), ("a", 250, 4_000, 4)], checkpoint_s=200.0, restart_s=0.0, hold_s=2 * STEP_S)

    run(world, [2], 1)
    flow = world.step(np.array([[2]]), np.array([[4.0, 0.0]]))
    run(world, [2], 20)

    # At 300 s the first job has saved 200 of 300 s, the second none of 50 s: the second stops.
    assert flow.lost[0] * HOUR_S == pytest.approx(50 * 4)
    assert world.sites.state.runs.end_s[0].tolist() == pytest.approx([4_000, 900 + 4_000])
    assert world.sites.fates.stops[0].tolist() == [0, 1]


def test_work_is_done_faster_on_faster_gpus() -> None:
    world = one([("a", 0, 1_200, 4)], pool(speed=2.0))

    run(world, [2], 3)

    assert world.sites.state.runs.end_s[0, 0] == 600.0


def test_a_job_that_may_have_fewer_gpus_starts_with_the_most_that_fit_and_goes_as_fast_as_its_curve_says() -> None:
    jobs = replace(
        table([("a", 0, 3_600, 2), ("a", 0, 3_600, 8)]), least_gpus=np.array([2, 3]), scaling=np.full(2, 0.5)
    )
    world = World((pool(),)).begin(jobs, Weather.calm((pool(),), 48))

    flows = run(world, [2], 48)

    assert world.held[0].tolist() == [2, 6]
    assert world.sites.state.runs.end_s[0].tolist() == [3_600, 3_600 / (6 / 8) ** 0.5]
    assert flows.waiting.sum() == 0.0
    assert flows.busy[0, 0, 0] * 12 == pytest.approx(8)


def test_what_waits_are_the_gpus_that_it_asks_for() -> None:
    jobs = replace(table([("a", 0, 600, 8), ("a", 0, 600, 8)]), least_gpus=np.array([8, 4]))
    world = World((pool(),)).begin(jobs, Weather.calm((pool(),), 48))

    flows = run(world, [2], 3)

    assert (flows.waiting[:, 0, 0] * 12).tolist() == pytest.approx([8, 8, 0])


def test_a_job_that_stopped_starts_again_with_another_size() -> None:
    weather = Weather.calm((pool(max_nodes=2),), 48)
    weather.loss[0, 2] = 0.5
    jobs = replace(table([("a", 0, 6_000, 8)]), least_gpus=np.array([4]), checkpoint_s=np.array([300.0]))
    world = World((pool(max_nodes=2),), restart_s=0.0).begin(jobs, weather)

    held = []
    for nodes in (2, 1, 1, 1):
        world.step(np.array([[nodes]]))
        held.append(int(world.held[0, 0]))
    run(world, [1], 40)

    assert held == [8, 8, 4, 4]
    assert world.sites.state.runs.end_s[0, 0] == 600 + 2 * (6_000 - 600)


def test_whole_gpus_are_given_to_a_job_that_asks_for_whole_ones_where_others_take_parts() -> None:
    jobs = table([("a", 0, 3_600, 1), ("a", 0, 3_600, 8)])
    jobs = replace(jobs, gpus=np.array([0.5, 8.0]), least_gpus=np.array([0.5, 2.0]))
    world = World((pool(),)).begin(jobs, Weather.calm((pool(),), 12))

    run(world, [2], 1)

    assert world.held[0].tolist() == [0.5, 7.0]


def test_a_kind_of_job_goes_at_the_speed_that_is_told_for_it() -> None:
    jobs = replace(table([("a", 0, 1_200, 4)] * 2), kind=np.array([KINDS.index("training"), KINDS.index("batch")]))
    world = World((pool(speed={"training": 2.0}),)).begin(jobs, Weather.calm((pool(),), 12))

    run(world, [2], 5)

    assert world.sites.state.runs.end_s[0].tolist() == [600, 1_200]


def leaving(jobs: JobTable, leaves_s: Sequence[float] | Floats) -> JobTable:
    return replace(jobs, leaves_s=np.array(leaves_s, dtype=np.float64))


def test_who_leaves_ends_then_and_whoever_waits_has_its_gpus() -> None:
    jobs = leaving(table([("a", 0, 3_600, 8), ("a", 0, 3_600, 8), ("a", 0, 600, 8)]), [400.0, 100.0, np.inf])
    world = World((pool(),)).begin(jobs, Weather.calm((pool(),), 48))

    flows = run(world, [2], 6)

    runs = world.sites.state.runs
    assert starts(world) == [0.0, np.inf, 400.0]
    assert runs.end_s[0].tolist() == [400.0, 100.0, 1_000.0]
    assert (flows.waiting[:, 0, 0] * HOUR_S).tolist() == pytest.approx([8 * (100 + 300), 8 * 100, 0, 0, 0, 0])
    assert (flows.busy[:, 0, 0] * HOUR_S).sum() == pytest.approx(8 * 1_000)
    assert not flows.lost.any()


def test_the_head_of_a_strict_queue_that_leaves_no_longer_blocks() -> None:
    jobs = leaving(table([("a", 0, 3_600, 8), ("a", 10, 60, 12), ("a", 20, 60, 8)]), [np.inf, 90.0, np.inf])
    pools = (pool(nodes=4),)
    strict = World(pools, strict=frozenset({"a"})).begin(jobs, Weather.calm(pools, 48))

    run(strict, [4], 2)

    assert starts(strict) == [0.0, np.inf, 100.0]


def test_who_is_held_back_and_leaves_waits_no_longer() -> None:
    jobs = leaving(table([("a", 0, 9_000, 8)]), [700.0])
    world = World((pool(),), restart_s=0.0).begin(jobs, Weather.calm((pool(),), 48))
    run(world, [2], 1)

    world.step(np.array([[2]]), np.array([[8.0, 0.0]]))
    flows = run(world, [2], 20)

    assert world.waiting.tolist() == [[0, 0]]
    assert (flows.waiting[:, 0, 0] * HOUR_S).tolist() == pytest.approx([8 * 100] + [0] * 19)
    assert world.sites.state.runs.end_s[0, 0] == 700.0
    assert world.sites.fates.holds[0, 0] == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_without_dials_it_is_the_replay_that_follows_kueue(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = random_jobs(rng, 60)
    pools = (pool("x", nodes=3), pool("y", nodes=2))
    shares: Shares = {"a": {"x": Share(8), "y": Share(4, 2)}, "b": {"y": Share(4), "x": Share(4, lending_limit=1)}}
    cohorts = {"a": "all", "b": "all"}
    strict = frozenset({"b"}) if seed % 2 else frozenset[str]()
    world = World(pools, shares, cohorts, strict).begin(jobs, Weather.calm(pools, 60))

    for _ in range(60):
        world.step(np.array([[3, 2]]))

    alike = replay(jobs, Cluster(shares, cohorts, {"x": 12, "y": 8}, strict), 60 * STEP_S)
    np.testing.assert_array_equal(world.sites.state.runs.start_s[0], alike.start_s)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_elastic_jobs_run_as_in_the_replay_at_the_speed_of_their_kind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = of_any_size(random_jobs(rng, 60), rng, scaling=0.7)
    pools = (pool("x", nodes=3, speed={"training": 2.0, "sweep": 0.5}), pool("y", nodes=2, speed=1.5))
    world = World(pools).begin(jobs, Weather.calm(pools, 100))

    for _ in range(100):
        world.step(np.array([[3, 2]]))
        keeps_its_books(world)

    shares: Shares = {queue: {"x": Share(32), "y": Share(32)} for queue in "ab"}
    told = {"x": pools[0].speed, "y": pools[1].speed}
    alike = replay(jobs, Cluster(shares, {}, {"x": 12, "y": 8}, speed=told), 100 * STEP_S)
    np.testing.assert_array_equal(world.sites.state.runs.end_s[0], alike.end_s)
    np.testing.assert_array_equal(world.held[0], alike.gpus)


def of_any_size(jobs: JobTable, rng: np.random.Generator, scaling: float = 1.0) -> JobTable:
    """The same, of all kinds, most of which may have fewer GPUs."""
    least = np.minimum(jobs.gpus, rng.integers(1, 9, len(jobs)))
    return replace(
        jobs, least_gpus=least, scaling=np.full(len(jobs), scaling), kind=rng.integers(0, len(KINDS), len(jobs))
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_gpu_seconds_that_go_in_are_run_waited_for_or_lost(seed: int, elastic: bool) -> None:
    rng = np.random.default_rng(seed)
    jobs, pools = random_jobs(rng, 50), (pool("x", interruptions_per_day=5.0), pool("y", speed=1.5, nodes=1))
    jobs = of_any_size(jobs, rng) if elastic else jobs
    jobs = replace(jobs, checkpoint_s=rng.choice([300.0, 1_000.0, np.inf], len(jobs)))
    jobs = leaving(jobs, rng.choice([np.inf, 100.0, 1_000.0, 3_000.0], len(jobs)))
    world = World(pools).begin(jobs, Weather.drawn(pools, 200, rng))
    busy, lost, waited = np.zeros(2), 0.0, 0.0

    for nth in range(200):
        pause = rng.random((1, 2)) * 6 * (rng.random() < 0.1)
        move = rng.random((1, 2, 2)) * 6 * (rng.random() < 0.2)
        flow = world.step(rng.integers(0, 5, (1, 2)) if nth < 150 else np.full((1, 2), 8), pause, move)
        busy += flow.busy[0]
        lost += flow.lost[0]
        waited += flow.waiting[0].sum()
        keeps_its_books(world)

    sites, now = world.sites, 200 * STEP_S
    runs, gone = sites.state.runs, sites.state.runs.end_s[0] <= now
    left = gone & (runs.left_s[0] > 0)
    ended = gone & ~left
    done = np.where(ended, jobs.duration_s, sites.fates.saved_s[0])
    running = (runs.flavor[0] >= 0) & ~ended
    until = np.where(left, runs.end_s[0], now)
    share = np.where(running, runs.gpus[0] / jobs.gpus, 1.0)
    since = np.where(running, (until - runs.began_s[0]) * np.array([1.0, 1.5])[runs.flavor[0]] * share, 0.0)
    restarts = np.where(
        running | ended | (jobs.submit_s > now), 0.0, world.world.restart_s * (sites.fates.stops[0] > 0)
    )
    restarts += np.where(running & (sites.fates.stops[0] > 0), world.world.restart_s, 0.0)
    work = (jobs.gpus * (done + since - restarts)).sum() / HOUR_S + lost
    assert busy @ [1.0, 1.5] == pytest.approx(work)
    there = np.where(gone, runs.end_s[0], now) - np.minimum(jobs.submit_s, now)
    held = (jobs.gpus * there).sum() / HOUR_S
    if elastic:
        assert waited + busy.sum() <= held * (1 + 1e-9)
    else:
        assert waited + busy.sum() == pytest.approx(held)


def keeps_its_books(world: Run) -> None:
    """No GPU is used twice, and none that is not there; no gang runs in part below the least that does."""
    sites = world.sites
    state, nodes = sites.state, sites.nodes
    gpus = nodes.there[0] * sites.terms.per_node[0]
    used = np.zeros_like(state.ledger.used[0])
    running = state.clock.gangs[0, : state.clock.running[0, 0]]
    held = state.runs.gpus[0, running]
    np.add.at(used, (sites.work.queue[0, running], state.runs.flavor[0, running]), held)
    assert (sites.work.least[0, running] <= held).all()
    assert (held <= sites.work.gpus[0, running]).all()
    np.testing.assert_array_equal(used, state.ledger.used[0])
    np.testing.assert_array_equal(gpus - used.sum(axis=0), state.ledger.idle[0])
    assert (state.ledger.idle[0] >= 0).all()
    assert len(set(running.tolist())) == len(running)
    assert (nodes.there[0] == nodes.born[0].sum(axis=1)).all()
    assert (nodes.coming[0] == nodes.due[0, :, world.nth[0] :].sum(axis=1)).all()
    assert (nodes.there[0] + nodes.coming[0] <= sites.terms.most[0]).all()


def test_worlds_side_by_side_are_as_each_alone() -> None:
    rng = np.random.default_rng(7)
    north = pool("x", interruptions_per_day=3.0, lead_sigma=0.5, speed={"batch": 2.0}, region="north")
    pools = (north, pool("y", region="south"))
    tables_ = [of_any_size(random_jobs(rng, count), rng, 0.8) for count in (30, 50, 10)]
    tables_[1] = leaving(tables_[1], rng.choice([np.inf, 500.0], 50))
    tables_[0] = replace(tables_[0], data_gb=rng.uniform(0, 100, 30))
    weathers = [Weather.drawn(pools, 100, rng) for _ in tables_]
    wanted = rng.integers(0, 9, (100, 3, 2))
    together = World(pools).begin_all(tables_, weathers)
    alone = [World(pools).begin(jobs, weather) for jobs, weather in zip(tables_, weathers, strict=True)]

    for nodes in wanted:
        move = rng.integers(-20, 9, (3, 2, 2)).clip(0).astype(np.float64)
        all_ = together.step(nodes, move=move)
        each = [world.step(nodes[[b]], move=move[[b]]) for b, world in enumerate(alone)]
        for name in set(Flows._fields) - {"sent"}:
            np.testing.assert_array_equal(getattr(all_, name), np.concatenate([getattr(one_, name) for one_ in each]))
        np.testing.assert_array_equal(all_.sent[0], each[0].sent[0])
        assert not all_.sent[1:].any()


@pytest.mark.parametrize(
    ("queues", "steps", "told"),
    [
        (("b", "a"), 48, "cluster 1 has the queues b, a, and cluster 0 has a, b; give all tables the same queues"),
        (("a",), 48, "cluster 1 has the queues a, and cluster 0 has a, b; give all tables the same queues"),
        (("a", "b"), 47, "the weather of cluster 1 lasts 47 steps, and that of cluster 0 48; draw all for as many"),
    ],
)
def test_clusters_that_are_not_alike_are_not_begun_together(queues: tuple[str, ...], steps: int, told: str) -> None:
    one, other = table([("a", 0, 60, 8)]), table([("a", 0, 60, 8)], queues)
    weathers = [Weather.calm((pool(),), length) for length in (48, steps)]

    with pytest.raises(ValueError, match=told):
        World((pool(),)).begin_all([one, other], weathers)


def test_the_same_seed_gives_the_same_run_bit_for_bit() -> None:
    def told(seed: int) -> Floats:
        rng = np.random.default_rng(seed)
        pools = (pool(interruptions_per_day=2.0, mass_losses_per_day=2.0, lead_sigma=1.0),)
        jobs = generate((TrainingProfile("a", 200),), 1, rng)
        world = World(pools).begin(jobs, Weather.drawn(pools, 288, rng))
        flows = run(world, [4], 288)
        return np.concatenate([flows.there.ravel(), flows.busy.ravel(), flows.lost.ravel()])

    np.testing.assert_array_equal(told(3), told(3))
    assert not np.array_equal(told(3), told(4))


def test_weather_is_as_the_terms_say() -> None:
    pools = (
        pool("calm"),
        pool("spot", interruptions_per_day=2.4, mass_losses_per_day=1.0, mass_loss_share=0.5, lead_sigma=0.5),
    )

    found = Weather.drawn(pools, 200_000, np.random.default_rng(0))

    days = 200_000 * STEP_S / 86_400
    assert not found.loss[0].any()
    assert (found.lead[0] == 2).all()
    assert np.median(found.lead[1]) in {2, 3}
    assert (found.loss[1] > 0.4).sum() / days == pytest.approx(1.0, rel=0.2)
    assert np.median(found.loss[1]) == pytest.approx(2.4 * STEP_S / 86_400, rel=0.01)


def test_lead_times_that_were_measured_are_drawn_each_as_often_as_the_others() -> None:
    leads = (pool("measured", lead_times_s=(60.0, 900.0, 600.0)), pool("told", lead_sigma=0.5))

    found, calm = Weather.drawn(leads, 30_000, np.random.default_rng(0)), Weather.calm(leads, 2)

    steps, often = np.unique(found.lead[0], return_counts=True)
    assert (steps * STEP_S).tolist() == [300, 600, 900]
    assert often / 30_000 == pytest.approx(1 / 3, abs=0.02)
    assert (calm.lead[0] * STEP_S == 600).all()


def random_jobs(rng: np.random.Generator, count: int) -> JobTable:
    jobs: list[Job] = [
        (
            str(rng.choice(["a", "b"])),
            float(rng.integers(0, 9_000)),
            float(rng.integers(1, 4_000)),
            int(rng.integers(1, 9)),
        )
        for _ in range(count)
    ]
    return table(sorted(jobs, key=lambda job: job[1]), priority=rng.integers(0, 3, count).tolist())


def test_pools_are_told_from_each_other_in_whatever_order_shares_name_them() -> None:
    shares: Shares = {"a": {"y": Share(0), "x": Share(8)}}
    world = one([("a", 10, 600, 8)], pool("x"), pool("y", nodes=0), pool("z"), shares=shares)

    flows = run(world, [2, 0, 2], 3)

    assert starts(world) == [10.0]
    assert flows.busy[:, 0].sum(axis=0).tolist() == pytest.approx([8 * 600 / HOUR_S, 0, 0])


def test_a_run_that_is_over_goes_no_further() -> None:
    world = one([], steps=3)
    run(world, [2], 3)

    with pytest.raises(ValueError, match="over after its 3 steps"):
        world.step(np.array([[2]]))


def test_dials_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="1 clusters, of 1 pools and of 2 queues"):
        one([]).step(np.array([[2, 2]]))


def test_nodes_that_are_there_stay_when_what_was_asked_beyond_them_is_taken_back() -> None:
    world = one([], pool(nodes=4, min_nodes=4))

    run(world, [8], 1)
    run(world, [4], 1)

    assert (world.sites.nodes.there[0, 0], world.sites.nodes.coming[0, 0]) == (4, 4)


def test_a_checkpoint_every_no_seconds_is_none() -> None:
    weather = Weather.calm((pool(),), 48)
    weather.loss[0, 1] = 1.0
    world = one([("a", 0, 1_800, 8)], weather=weather, checkpoint_s=-600.0, restart_s=0.0)

    flows = run(world, [2], 20)

    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx(300 * 8)


NORTH, SOUTH = pool("x", region="north"), pool("y", region="south")


def with_data(jobs: JobTable, *gb: float) -> JobTable:
    return replace(jobs, data_gb=np.array(gb))


def test_data_is_sent_where_a_job_starts_and_lies_there_from_then_on() -> None:
    shares: Shares = {"a": {"y": Share(8)}, "b": {"x": Share(8)}}
    jobs = with_data(table([("a", 10, 4_000, 8), ("b", 20, 60, 4), ("a", 30, 60, 4)]), 50.0, 7.0, 0.0)
    world = World((NORTH, SOUTH), shares, homes={"a": "north", "b": "north"}, hold_s=0.0, restart_s=0.0)
    there = world.begin(jobs, Weather.calm(world.pools, 48))

    first = run(there, [2, 2], 1)
    there.step(np.array([[2, 2]]), np.array([[8.0, 0.0]]))
    later = run(there, [2, 2], 20)

    assert world.regions == ("north", "south")
    assert first.sent[0, 0].tolist() == [[0, 50], [0, 0]]
    assert there.sites.fates.stops[0, 0] == 1  # and it starts again where its data is
    assert not later.sent.any()


@pytest.mark.parametrize("pools", [(pool("x"), pool("y")), (NORTH, replace(SOUTH, region="north"))])
def test_nothing_is_sent_where_there_is_one_region_or_none(pools: tuple[PoolTerms, ...]) -> None:
    world = World(pools).begin(with_data(table([("a", 10, 60, 8)] * 2), 50.0, 50.0), Weather.calm(pools, 48))

    assert not run(world, [2, 2], 2).sent.any()


def test_a_home_that_is_not_told_is_where_a_job_starts_first() -> None:
    jobs = with_data(table([("a", 10, 4_000, 8)]), 50.0)
    there = World((NORTH, SOUTH)).begin(jobs, Weather.calm((NORTH, SOUTH), 48))

    first = run(there, [2, 2], 1)
    moved = there.step(np.array([[2, 2]]), move=np.array([[[0, 8.0], [0, 0]]]))

    assert not first.sent.any()
    assert moved.sent[0].tolist() == [[0, 50], [0, 0]]


def test_a_job_that_moves_goes_on_at_once_and_loses_its_restart_alone() -> None:
    pools = (pool("x"), pool("y", speed=2.0))
    there = World(pools, restart_s=100.0).begin(table([("a", 0, 2_300, 8)]), Weather.calm(pools, 48))
    run(there, [2, 2], 3)

    moved = there.step(np.array([[2, 2]]), move=np.array([[[0, 1.0], [0, 0]]]))
    run(there, [2, 2], 4)

    # 900 s were done without a checkpoint; 1,400 s and the restart are left, at twice the speed
    assert moved.busy[0].tolist() == pytest.approx([0, 8 * STEP_S / HOUR_S])
    assert moved.lost[0] * HOUR_S == pytest.approx(100 * 8)
    assert not moved.waiting.any()
    assert there.sites.state.runs.end_s[0, 0] == pytest.approx(900 + 1_500 / 2)


def test_what_moves_makes_room_for_those_who_wait() -> None:
    pools, shares = (pool("x"), pool("y")), {"a": {"x": Share(8), "y": Share(8)}, "b": {"x": Share(8)}}
    there = World(pools, shares).begin(table([("a", 0, 3_600, 8), ("b", 10, 60, 8)]), Weather.calm(pools, 48))
    run(there, [2, 2], 1)

    there.step(np.array([[2, 2]]), move=np.array([[[0, 8.0], [0, 0]]]))

    assert starts(there) == [0.0, STEP_S]


def test_nobody_moves_in_part_or_where_its_queue_has_no_room() -> None:
    pools, shares = (pool("x"), pool("y")), {"a": {"x": Share(8), "y": Share(4)}, "b": {"x": Share(8)}}
    jobs = table([("a", 0, 3_600, 8), ("b", 10, 3_600, 4)])
    there = World((replace(pools[0], nodes=3), pools[1]), shares).begin(jobs, Weather.calm(pools, 48))
    run(there, [3, 2], 1)

    moved = there.step(np.array([[3, 2]]), move=np.array([[[0, 12.0], [0, 0]]]))

    assert there.used[0].tolist() == [[8, 0], [4, 0]]
    assert not moved.lost.any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_move_breaks_a_quota_or_exceeds_what_is_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, pools = random_jobs(rng, 50), (pool("x", nodes=3), pool("y"), pool("z", nodes=4))
    shares: Shares = {
        queue: {p.name: Share(int(rng.integers(0, 9)), *rng.choice([0, 4], 2).tolist()) for p in pools}
        for queue in "ab"
    }
    there = World(pools, shares, dict.fromkeys("ab", "all")).begin(jobs, Weather.calm(pools, 40))
    rules, ledger = there.sites.rules, there.sites.state.ledger

    for _ in range(40):
        before, stops = there.sites.state.runs.flavor.copy(), there.sites.fates.stops.copy()
        there.step(np.array([[3, 2, 4]]), move=rng.integers(-6, 7, (1, 3, 3)).clip(0).astype(np.float64))
        keeps_its_books(there)
        assert (ledger.free >= 0).all()
        assert (ledger.used <= rules.most).all()
        went = there.sites.fates.stops > stops
        assert (there.sites.state.runs.flavor != before)[went].all()


def test_moves_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="from pool to pool, 1 x 1 in each of 1 clusters"):
        one([]).step(np.array([[2]]), move=np.zeros((1, 2, 2)))
