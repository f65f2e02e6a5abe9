"""Nodes that are lost with notice, as recorded or by failing: by hand, by their books, and beside a plain cluster."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import faces
from envs.checkpoints import with_halts
from envs.control import Fleet
from envs.faults import Outage, weathered
from envs.interruptions import Interruptions, read_interruptions
from envs.losses import CAUSES
from envs.presence import Presence
from envs.replay import Preemption, Share, Shares
from envs.seen import Seen
from envs.terms import Flows, PoolTerms, Prices
from envs.workloads import Floats, JobTable
from envs.world import STEP_S, Run, Weather, World
from gyropilot.domain import Market
from gyropilot.errors import SettingsError
from tests.envs.plain_losses import PlainCluster
from tests.envs.test_replay import Job, table
from tests.envs.test_world import HOUR, HOUR_S, keeps_its_books, one, pool, random_jobs, run, starts


def struck(*pools: PoolTerms, step: int = 3, share: float = 0.5, steps: int = 48) -> Weather:
    """Calm, but for a share of the first pool's nodes that the market takes back in one step."""
    weather = Weather.calm(pools, steps)
    weather.loss[0, step] = share
    return weather


def noticed(jobs: Sequence[Job], notice_s: float = 120.0, checkpoint_s: float = 400.0, write_s: float = 60.0) -> Run:
    """On two nodes of four GPUs, one of which goes after 900 s and a notice."""
    mine = pool(notice_s=notice_s)
    told = {"checkpoint_s": checkpoint_s, "restart_s": 100.0, "checkpoint_write_s": write_s}
    return one(jobs, mine, steps=48, weather=struck(mine), **told)


def lost_by(world: Run) -> dict[str, tuple[int, int, float]]:
    """Nodes, stops of jobs and GPU-seconds, by cause."""
    return {each.cause: (each.nodes, each.stops, round(each.gpu_hours * HOUR_S, 6)) for each in world.losses(1.0)}


def test_with_notice_a_job_writes_a_checkpoint_and_loses_its_restart_alone() -> None:
    world = noticed([("a", 0, 6_000, 8)])

    flows = run(world, [2], 30)

    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx(100 * 8)
    assert (flows.busy[3, 0, 0] * HOUR_S) == pytest.approx(120 * 8)
    # 1,020 s were done; the other node comes back two steps after it was asked for.
    assert world.sites.state.runs.end_s[0, 0] == pytest.approx(1_500 + 100 + 6_000 - 1_020)
    assert lost_by(world)["interruptions"] == (1, 1, 800.0)


@pytest.mark.parametrize(("notice_s", "checkpoint_s", "lost_s"), [(30.0, 400.0, 130.0), (120.0, np.inf, 1_020.0)])
def test_who_cannot_write_a_checkpoint_in_time_loses_what_was_done_since_the_last(
    notice_s: float, checkpoint_s: float, lost_s: float
) -> None:
    world = noticed([("a", 0, 6_000, 8)], notice_s, checkpoint_s)

    flows = run(world, [2], 30)

    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx((lost_s + 100) * 8)


def test_how_long_a_checkpoint_takes_to_write_is_told() -> None:
    world = noticed([("a", 0, 6_000, 8)], write_s=121.0)

    flows = run(world, [2], 30)

    assert flows.lost[:, 0].sum() * HOUR_S == pytest.approx((220 + 100) * 8)


def test_nodes_that_go_take_no_more_work() -> None:
    world = noticed([("a", 0, 950, 4), ("a", 0, 6_000, 4), ("a", 910, 60, 4)])

    run(world, [2], 12)

    # What ends at 950 s leaves the last job no room before the node is gone, at 1,020 s.
    assert starts(world) == [0.0, 0.0, 1_500.0]


def test_who_ends_before_its_node_goes_loses_nothing() -> None:
    world = noticed([("a", 0, 1_000, 8)])

    flows = run(world, [2], 12)

    assert not flows.lost.any()
    assert lost_by(world)["interruptions"] == (1, 0, 0.0)


def test_nodes_that_go_are_paid_for_until_they_do_and_can_be_replaced_at_once() -> None:
    mine = pool(notice_s=120.0, max_nodes=2)
    world = one([("a", 0, 6_000, 8)], mine, weather=struck(mine))

    flows = run(world, [2], 8)

    there = (flows.there[:, 0, 0] * 12).tolist()
    assert there == pytest.approx([8, 8, 8, 4 + 4 * 120 / 300, 4, 8, 8, 8])
    assert flows.asked[:, 0, 0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(flows.unused, 0.0, atol=1e-12)


def test_nodes_that_go_are_told_before_the_step_in_which_they_do() -> None:
    world = noticed([("a", 0, 6_000, 4)])

    told = []
    for _ in range(5):
        told.append((int(world.going[0, 0]), int(world.staying[0, 0]), float(world.open[0, 0])))
        world.step(np.array([[2]]))

    # Who is on the node that goes is the one job there is; the other node came after the step.
    assert told == [(0, 2, 8.0), (0, 2, 4.0), (0, 2, 4.0), (1, 1, 0.0), (0, 1, 0.0)]


def test_recorded_interruptions_take_as_many_nodes_at_the_same_moments() -> None:
    told = Interruptions((600.0, 700.0, 701.0, 99_999.0), nodes=(1, 2, 3, 1))
    mine = pool(nodes=8, lead_s=1e6, interruptions=told)
    world = one([], mine, weather=Weather.drawn((mine,), 48, np.random.default_rng(0)))

    flows = run(world, [8], 5)

    assert (flows.there[:, 0, 0] * 12 / 4).tolist() == pytest.approx([8, 8, 7, 2, 2])
    assert lost_by(world)["interruptions"] == (6, 0, 0.0)


def test_recorded_shares_are_of_what_the_last_one_left() -> None:
    told = Interruptions((0.0, 10.0, 20.0), share=(0.25, 0.5, 0.5))

    assert told.share_by_step(3, STEP_S).tolist() == [0.25, 0.75, 0.0]
    assert told.nodes_by_step(3, STEP_S).tolist() == [0, 0, 0]


def test_a_node_that_fails_costs_work_and_an_own_one_is_back_after_its_repair() -> None:
    mine = pool(
        nodes=2, min_nodes=2, max_nodes=2, market=Market.RESERVED, mean_time_between_failures_h=1e9, repair_h=1.0
    )
    weather = Weather.drawn((mine,), 48, np.random.default_rng(0))
    assert weather.harm is not None
    weather.harm.failing[0, 3] = 0.5
    world = one([("a", 0, 6_000, 8)], mine, weather=weather, checkpoint_s=400.0, restart_s=100.0)

    flows = run(world, [2], 40)

    assert (flows.there[2:17, 0, 0] * 12).tolist() == pytest.approx([8] + [4] * HOUR + [8, 8])
    assert not flows.asked.any()
    assert world.sites.state.runs.end_s[0, 0] == pytest.approx(900 + HOUR_S + 100 + 5_200)
    assert lost_by(world) == {"interruptions": (0, 0, 0.0), "failures": (1, 1, (100 + 100) * 8), "outages": (0, 0, 0.0)}
    assert world.hits is not None
    assert world.hits[CAUSES.index("failures"), 0] == 1


def test_a_bought_node_that_fails_has_to_be_asked_for_anew() -> None:
    mine = pool(mean_time_between_failures_h=1e9)
    weather = Weather.drawn((mine,), 48, np.random.default_rng(0))
    assert weather.harm is not None
    weather.harm.failing[0, 3] = 0.5
    world = one([], mine, weather=weather)

    flows = run(world, [2], 8)

    assert flows.asked[:, 0, 0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]


def test_nodes_fail_as_often_as_is_told_and_large_jobs_are_hit_more_often() -> None:
    mine = PoolTerms(
        "x", 100, 100, 100, market=Market.RESERVED, mean_time_between_failures_h=500.0, repair_h=0.5, gpus_per_node=8
    )
    jobs = table([("a", 0, 1e9, 600), ("a", 0, 1e9, 200)])
    jobs = replace(jobs, checkpoint_s=np.full(2, 60.0))
    steps = 30 * 288
    world = World((mine,), restart_s=0.0).begin(jobs, Weather.drawn((mine,), steps, np.random.default_rng(1)))

    run(world, [100], steps)

    nodes, stops, _ = lost_by(world)["failures"]
    assert world.hits is not None
    large, small = world.hits[CAUSES.index("failures")].tolist()
    assert nodes == pytest.approx(30 * 24 * 100 / 500, rel=0.2)
    assert large + small == stops
    assert large > 1.3 * small


def test_an_outage_is_neither_an_interruption_nor_a_failure_and_gives_no_notice() -> None:
    mine = pool(notice_s=120.0)
    drawn = Weather.drawn((mine,), 48, np.random.default_rng(0))
    weather = weathered([Outage(at_s=900.0, lasts_s=600.0)], drawn, (mine,), STEP_S)
    world = one([("a", 0, 6_000, 8)], mine, weather=weather, checkpoint_s=400.0, restart_s=100.0)

    run(world, [2], 30)

    assert lost_by(world) == {"interruptions": (0, 0, 0.0), "failures": (0, 0, 0.0), "outages": (2, 1, 200.0 * 8)}
    assert drawn.harm is not None
    assert not drawn.harm.outage.any()


def test_worlds_in_which_no_cause_is_told_take_no_more_chance_than_they_did() -> None:
    mine = pool(interruptions_per_day=3.0, mass_losses_per_day=1.0)
    plain, told = np.random.default_rng(5), np.random.default_rng(5)

    calm = Weather.drawn((mine,), 100, plain)
    rough = Weather.drawn((replace(mine, notice_s=30.0, mean_time_between_failures_h=9.0),), 100, told)

    assert calm.harm is None
    for name in ("lead", "loss", "chance"):
        np.testing.assert_array_equal(getattr(calm, name), getattr(rough, name))


def test_a_notice_that_is_longer_than_a_step_is_refused() -> None:
    mine = pool(notice_s=120.0)

    with pytest.raises(ValueError, match="pool x is told 120 s before it loses nodes, and a step is 60 s; give a"):
        World((mine,), step_s=60.0).begin(table([]), Weather.calm((mine,), 5, 60.0))


ROUGH = (
    pool("x", interruptions_per_day=20.0, mass_losses_per_day=5.0, notice_s=120.0, mean_time_between_failures_h=10.0),
    pool("y", notice_s=30.0, interruptions=Interruptions(tuple(np.arange(1_000.0, 60_000.0, 1_700.0)), (1,) * 35)),
    pool("z", min_nodes=2, max_nodes=2, market=Market.RESERVED, mean_time_between_failures_h=4.0, repair_h=1.0),
)


def rough(seed: int, steps: int = 150) -> tuple[JobTable, Weather, np.random.Generator]:
    rng = np.random.default_rng(seed)
    jobs = random_jobs(rng, 60)
    jobs = replace(jobs, checkpoint_s=rng.choice([300.0, 1_000.0, np.inf], len(jobs)))
    return (
        jobs,
        weathered([Outage(at_s=9_000.0, lasts_s=900.0, share=0.5)], Weather.drawn(ROUGH, steps, rng), ROUGH, STEP_S),
        rng,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_gpu_seconds_that_go_in_are_run_waited_for_or_lost_to_a_cause(seed: int) -> None:
    jobs, weather, rng = rough(seed)
    world = World(ROUGH, hold_s=0.0).begin(jobs, weather)

    lost = lived(world, jobs, rng)

    told = world.losses(1.0)
    assert lost == pytest.approx(sum(each.gpu_hours for each in told))
    assert world.sites.fates.stops[0].sum() == sum(each.stops for each in told)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_same_holds_where_jobs_stop_others_and_make_way(seed: int) -> None:
    jobs, weather, rng = rough(seed)
    shares: Shares = {queue: {each.name: Share(int(rng.integers(4, 17))) for each in ROUGH} for queue in "ab"}
    rules = dict.fromkeys("ab", Preemption(within="lower_priority", reclaim="any"))
    world = World(ROUGH, shares, dict.fromkeys("ab", "all"), preemption=rules).begin(jobs, weather)

    lost = lived(world, jobs, rng, pauses=0.1)

    told = world.losses(1.0)
    assert lost >= sum(each.gpu_hours for each in told) - 1e-9
    assert world.sites.fates.stops[0].sum() >= sum(each.stops for each in told)


def lived(world: Run, jobs: JobTable, rng: np.random.Generator, pauses: float = 0.0) -> float:
    """GPU-hours lost in all steps, in each of which the books were kept and at the end of which they were closed."""
    busy, waited, lost = 0.0, 0.0, 0.0
    for nth in range(world.steps):
        wanted = rng.integers(0, 7, (1, 3)) if nth < 100 else np.full((1, 3), 8)
        pause = rng.random((1, 2)) * 6 * (rng.random() < pauses)
        flow = world.step(wanted, pause)
        busy, waited, lost = busy + flow.busy.sum(), waited + flow.waiting.sum(), lost + flow.lost.sum()
        keeps_its_books(world)
    runs, fates, now = world.sites.state.runs, world.sites.fates, world.steps * STEP_S
    ended = runs.end_s[0] <= now
    running = (runs.flavor[0] >= 0) & ~ended
    done = np.where(ended, jobs.duration_s, fates.saved_s[0]) + np.where(running, now - runs.began_s[0], 0.0)
    # A restart is lost as a job stops, and done as it runs again.
    due = np.where(ended | (fates.stops[0] == 0), 0.0, world.world.restart_s)
    assert busy == pytest.approx((jobs.gpus * (done - due)).sum() / HOUR_S + lost)
    there = np.where(ended, runs.end_s[0], now) - np.minimum(jobs.submit_s, now)
    assert waited + busy == pytest.approx((jobs.gpus * there).sum() / HOUR_S)
    return float(lost)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 20.0, 300.0]))
def test_it_is_as_in_a_plain_cluster_moment_by_moment(seed: int, halt_s: float) -> None:
    jobs, weather, rng = rough(seed)
    jobs = replace(
        jobs, queues=("a",), queue=np.zeros(len(jobs), dtype=np.int64), priority=np.zeros_like(jobs.priority)
    )
    world = World(ROUGH).begin(with_halts(jobs, halt_s), weather)
    plain = PlainCluster(World(ROUGH), jobs, weather, halt_s)

    for _ in range(150):
        wanted = rng.integers(0, 7, 3)
        flow = world.step(wanted[None])
        lost = plain.step(wanted.tolist())
        assert flow.lost[0] == pytest.approx(lost)
        assert world.sites.nodes.there[0].tolist() == plain.there

    np.testing.assert_allclose(world.sites.state.runs.start_s[0], plain.start_s)
    np.testing.assert_allclose(world.sites.state.runs.end_s[0], plain.end_s)
    assert world.hits is not None
    assert world.hits.tolist() == plain.hits


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_from_when_until_when_jobs_ran_is_known_as_in_a_plain_cluster(seed: int) -> None:
    jobs, weather, rng = rough(seed)
    jobs = replace(
        jobs, queues=("a",), queue=np.zeros(len(jobs), dtype=np.int64), priority=np.zeros_like(jobs.priority)
    )
    world, plain = World(ROUGH).begin(jobs, weather), PlainCluster(World(ROUGH), jobs, weather)
    presence, stopped = Presence(world, jobs, np.arange(len(jobs))), list[tuple[int, float, float]]()

    for nth in range(150):
        wanted, ran, before = rng.integers(0, 7, 3), plain.ran(), len(plain.stopped)
        world.step(wanted[None])
        plain.step(wanted.tolist())
        presence.look()
        often = Counter(job for job, _, _ in plain.stopped[before:])
        for job, since, until in plain.stopped[before:]:
            if ran.get(job) == since:
                stopped.append((job, since, until if often[job] == 1 else nth * STEP_S))

    found = presence.spells
    last = [(job, plain.began_s[job], end_s) for job, end_s in enumerate(plain.end_s) if end_s < np.inf]
    told = sorted(zip(found.job.tolist(), found.start_s.tolist(), found.end_s.tolist(), strict=True))
    np.testing.assert_allclose(told, sorted([*stopped, *last]))


def test_the_same_seed_gives_the_same_losses_bit_for_bit_alone_and_side_by_side() -> None:
    def told(*seeds: int) -> list[Floats]:
        begun = [rough(seed)[:2] for seed in seeds]
        world = World(ROUGH).begin_all([jobs for jobs, _ in begun], [weather for _, weather in begun])
        flows = [world.step(np.full((len(seeds), 3), nth % 7)) for nth in range(150)]
        return [
            np.stack([getattr(flow, name)[b] for flow in flows]) for b in range(len(seeds)) for name in Flows._fields
        ]

    together = told(3, 4)

    for alone, beside in zip([*told(3), *told(4)], together, strict=True):
        np.testing.assert_array_equal(alone, beside)


def test_a_recording_from_some_moment_on_happens_as_much_later_as_the_world_is_ahead() -> None:
    shares = Interruptions((60.0, 120.0, 300.0), share=(0.1, 0.2, 0.3))

    assert shares.begun(120.0, 1_000.0) == Interruptions((1_000.0, 1_180.0), share=(0.2, 0.3))
    assert shares.begun(0.0, 0.0) == shares


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_recording_is_read_of_one_pool_or_of_all(tmp_path: Path, suffix: str) -> None:
    import pandas as pd

    path = tmp_path / f"losses{suffix}"
    frame = pd.DataFrame({"t_s": [60, 90.5, 120], "pool": ["x", "y", "x"], "nodes": [1, 2, 3]})
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path, index=False)

    assert read_interruptions(path, "x") == Interruptions((60.0, 120.0), nodes=(1, 3), path=path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("t_s,gone\n1,2\n", "has the columns t_s, gone; give a table with the columns t_s, seconds since the world"),
        ("t_s,nodes,share\n1,2,0.5\n", "has the columns t_s, nodes, share; give a table"),
        ("t_s,nodes\n1,2\n-3,2\n", "t_s is -3 in data row 2; give a number of zero or more"),
        ("t_s,nodes\n1,1.5\n", "nodes is 1.5; give whole nodes, or their share"),
        ("t_s,share\n1,50\n", "share is 50 in data row 1; give a number from 0 to 1"),
        ("t_s,share\n1,\n", "share is nan in data row 1; give a number from 0 to 1"),
        ("t_s,nodes,pool\n1,1,z\n", "has 1 row, none of pool x; its pools are z"),
        ("", "is empty; give a table with the columns t_s"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "losses.csv"
    path.write_text(text)

    with pytest.raises(SettingsError, match=told):
        read_interruptions(path, "x")


def test_pilots_see_a_cluster_without_nodes_that_go() -> None:
    world = noticed([("a", 0, 6_000, 4)])
    seen = Seen(world, Prices())
    run(world, [2], 3)

    (told,) = seen.view().state.pools

    assert (told.nodes, told.ready_nodes, told.dial_value, told.idle_gpus) == (1, 1, 1, 0.0)
    assert seen.asked.tolist() == [1]


def test_learners_meet_notice_and_failures_and_the_same_seed_meets_the_same() -> None:
    pools = tuple(replace(each, notice_s=120.0, mean_time_between_failures_h=5.0) for each in faces.SAMPLE.world.pools)
    task = replace(faces.SAMPLE, world=replace(faces.SAMPLE.world, pools=pools))

    def told(seed: int) -> tuple[Floats, list[int]]:
        fleet = Fleet(task, 2, np.random.default_rng(seed))
        shown = [fleet.begin()]
        while not fleet.over:
            shown.append(fleet.step(np.full((2, len(pools)), 4))[0])
        return np.stack(shown), [each.nodes for each in fleet.run.losses(1.0)]

    first, lost = told(3)

    assert min(lost[: CAUSES.index("outages")]) > 0
    np.testing.assert_array_equal(first, told(3)[0])
