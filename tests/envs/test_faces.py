"""The simulated cluster behind the interfaces of Gymnasium and Stable-Baselines3."""

import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.control import FACTORS, Fleet, Source, Task, cut, generated
from envs.faces import ID, SAMPLE, Cluster, Clusters
from envs.faults import Surprises
from envs.terms import Hourly, bill
from envs.workloads import DAY_S, TrainingProfile, generate
from gyropilot.errors import SettingsError

UNMOVED = FACTORS.index(1.0)


def test_gymnasium_finds_nothing_wrong_with_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(f"envs.faces:{ID}").unwrapped)


def test_many_are_made_by_the_same_name() -> None:
    made = gymnasium.make_vec(f"envs.faces:{ID}", num_envs=3)

    seen, _ = made.reset(seed=1)

    assert seen.shape == (3, SAMPLE.width)
    assert made.observation_space.contains(seen)


def test_a_day_has_288_steps_and_is_cut_off_not_lost() -> None:
    env = Cluster()
    env.reset(seed=0)

    ends = [env.step(np.full(3, UNMOVED))[2:4] for _ in range(288)]

    assert ends == [(False, False)] * 287 + [(False, True)]


def test_the_same_seed_gives_the_same_day() -> None:
    def day(seed: int) -> float:
        env = Cluster()
        env.reset(seed=seed)
        return sum(env.step(np.full(3, UNMOVED))[1] for _ in range(100))

    assert day(5) == day(5)
    assert day(5) != day(6)


def test_after_a_day_the_next_begins_and_that_step_pays_nothing() -> None:
    envs = Clusters(2)
    first, _ = envs.reset(seed=0)
    for _ in range(288):
        envs.step(np.full((2, 3), UNMOVED))

    seen, rewards, _, truncated, _ = envs.step(np.full((2, 3), UNMOVED))

    assert rewards.tolist() == [0.0, 0.0]
    assert not truncated.any()
    np.testing.assert_array_equal(seen[:, :4], first[:, :4])  # midnight again


def test_before_reset_there_is_nothing_to_step() -> None:
    with pytest.raises(RuntimeError, match="call reset"):
        Cluster().step(np.zeros(3, dtype=np.int64))
    with pytest.raises(RuntimeError, match="call reset"):
        Clusters(1).step(np.zeros((1, 3), dtype=np.int64))


@pytest.mark.parametrize(
    ("action", "came"),
    [
        ([-1, -1, -1], "-1 to -1 came"),
        ([9, 4, 4], "4 to 9 came"),
        ([4, 4], r"int64 of shape \(1, 2\) came"),
        ([4.0, 4.0, 4.0], r"float64 of shape \(1, 3\) came"),
    ],
)
def test_what_is_no_action_is_refused_with_what_is_one(action: list[float], came: str) -> None:
    env, envs = Cluster(), Clusters(1)
    env.reset(seed=0)
    envs.reset(seed=0)
    what = "an action is a whole number from 0 to 8 for each of 3 pools of 1 cluster; "

    with pytest.raises(ValueError, match=what + came):
        env.step(np.array(action))
    with pytest.raises(ValueError, match=what + came):
        envs.step(np.array([action]))


def test_rewards_are_what_was_paid_and_nothing_else() -> None:
    fleet = Fleet(SAMPLE, 2, np.random.default_rng(0))
    fleet.begin()

    for _ in range(50):
        _, rewards, flows = fleet.step(np.full((2, 3), UNMOVED))
        np.testing.assert_allclose(-rewards * fleet.scale_usd, bill(flows, SAMPLE.rates).sum(axis=1))


def test_a_larger_factor_asks_for_more_nodes_and_the_middle_one_for_the_base() -> None:
    def wanted(factor: float) -> np.ndarray:
        fleet = Fleet(SAMPLE, 1, np.random.default_rng(3))
        fleet.begin()
        for _ in range(150):
            fleet.step(np.full((1, 3), UNMOVED))
        base = fleet.base()
        fleet.step(np.full((1, 3), FACTORS.index(factor)))
        nodes = fleet.run.sites.nodes
        return np.array([base[0], (nodes.there + nodes.coming)[0]])

    (base, same), (_, more) = wanted(1.0), wanted(2.0)

    assert base.sum() > 4
    assert same.sum() < more.sum()
    assert (same >= base).all()  # what is busy stays


def test_the_base_fills_the_cheapest_pools_first() -> None:
    fleet = Fleet(SAMPLE, 1, np.random.default_rng(0))
    fleet.begin()
    fleet.demand[:, 0, 0] = 150

    # Owned GPUs cost 2.5 in the books, spot 1.0: sixteen spot nodes, then the owned ones and what is missing.
    assert fleet.base().tolist() == [[3, 0, 16]]


def test_days_of_a_table_begin_anywhere_in_it() -> None:
    jobs = generate((TrainingProfile("research", 100.0),), 6, np.random.default_rng(0))

    one, other = (cut(jobs)(np.random.default_rng(seed)) for seed in (1, 2))

    assert (one.submit_s >= 0).all()
    assert (one.submit_s < DAY_S).all()
    assert len(one) != len(other) or not np.array_equal(one.submit_s, other.submit_s)
    assert 20 < len(one) < 400


def test_no_day_of_a_table_begins_before_its_first_job() -> None:
    jobs = generate((TrainingProfile("research", 100.0),), 6, np.random.default_rng(0))
    jobs.submit_s[:] += 365 * DAY_S

    assert all(len(cut(jobs)(np.random.default_rng(seed))) > 0 for seed in range(20))


def test_the_base_knows_which_pool_is_the_cheapest_at_this_hour() -> None:
    cheap_at_first = Hourly(price_usd_per_gpu_hour=(0.5, *[9.0] * 23))
    pools = (*SAMPLE.world.pools[:1], replace(SAMPLE.world.pools[1], hourly=cheap_at_first), SAMPLE.world.pools[2])
    fleet = Fleet(replace(SAMPLE, world=replace(SAMPLE.world, pools=pools)), 1, np.random.default_rng(0))
    fleet.begin()
    fleet.demand[:, 0, 0] = 40

    now = fleet.base().tolist()
    fleet.run.nth[:] = 12
    fleet.demand[:, 0, 12], fleet.recent[:] = 40, 0
    later = fleet.base().tolist()

    assert now[0][1] > 0
    assert later[0][1] == 0


def test_an_episode_of_a_table_is_as_long_as_its_task() -> None:
    jobs = generate((TrainingProfile("research", 100.0),), 9, np.random.default_rng(0))

    def lasts_days(source: Source) -> float:
        task = replace(SAMPLE, queues=("research",), source=source, days=3.0)
        return max(float(task.day(np.random.default_rng(seed)).jobs.submit_s.max()) for seed in range(4)) / DAY_S

    assert 2.5 < lasts_days(cut(jobs)) < 3
    assert 2.5 < lasts_days(generated((TrainingProfile("research", 100.0),))) < 3
    assert 0.5 < lasts_days(cut(jobs, 1.0)) < 1


def test_each_of_many_has_a_seed_of_its_own_and_meets_the_day_of_one_with_that_seed() -> None:
    def alone(seed: int) -> np.ndarray:
        env = Cluster()
        env.reset(seed=seed)
        return np.array([env.step(np.full(3, UNMOVED))[0] for _ in range(60)])

    def together(seed: int | list[int | None]) -> np.ndarray:
        envs = Clusters(2)
        envs.reset(seed=seed)
        return np.array([envs.step(np.full((2, 3), UNMOVED))[0] for _ in range(60)])

    calm_queues = slice(-20, None)  # what the market takes back hits jobs by their number in the larger table
    listed = together([5, 9])
    np.testing.assert_array_equal(listed[:30, 0, calm_queues], alone(5)[:30, calm_queues])
    np.testing.assert_array_equal(listed[:30, 1, calm_queues], alone(9)[:30, calm_queues])
    np.testing.assert_array_equal(together(5), together([5, 6]))
    assert not np.array_equal(together([5, 9])[:, 1], together([5, 6])[:, 1])


def test_a_seed_for_each_or_none() -> None:
    with pytest.raises(SettingsError, match="3 seeds for 2 clusters"):
        Clusters(2).reset(seed=[1, 2, 3])


def test_without_a_seed_the_next_days_are_new_ones_and_follow_from_the_last_seed() -> None:
    def second_days(envs: Clusters) -> np.ndarray:
        envs.reset(seed=3)
        envs.reset()
        return np.array([envs.step(np.full((2, 3), UNMOVED))[0] for _ in range(60)])

    one, again = second_days(Clusters(2)), second_days(Clusters(2))

    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one[:, 0], one[:, 1])


def rough(**often: float) -> Task:
    calm = dict.fromkeys(("outages", "stuck", "bursts", "biases", "blackouts"), 0.0)
    return replace(SAMPLE, surprises=Surprises(**{**calm, **often}))


def day_of(task: Task, seed: int = 0) -> tuple[Fleet, np.ndarray, np.ndarray]:
    """What was shown and what was paid on a day without decisions."""
    fleet = Fleet(task, 2, np.random.default_rng(seed))
    fleet.begin()
    steps = [fleet.step(np.full((2, 3), UNMOVED))[:2] for _ in range(288)]
    return fleet, np.array([shown for shown, _ in steps]), np.array([paid for _, paid in steps])


@pytest.mark.parametrize("kind", ["outages", "stuck", "bursts", "blackouts"])
def test_every_kind_of_surprise_meets_episodes_and_the_same_chance_brings_the_same(kind: str) -> None:
    calm, met, again = (day_of(task)[2] for task in (rough(), rough(**{kind: 20.0}), rough(**{kind: 20.0})))

    np.testing.assert_array_equal(calm, day_of(SAMPLE)[2])
    np.testing.assert_array_equal(met, again)
    assert not np.array_equal(calm, met)


def test_while_metrics_are_lost_a_cluster_shows_what_was_seen_last_and_stays_as_it_is() -> None:
    pools = tuple(replace(pool, interruptions_per_day=0.0) for pool in SAMPLE.world.pools)  # what is lost comes again
    task = replace(rough(blackouts=20.0), world=replace(SAMPLE.world, pools=pools))
    fleet = Fleet(task, 2, np.random.default_rng(0))
    shown, asked = [fleet.begin()], []
    for _ in range(288):
        after, _, flows = fleet.step(np.full((2, 3), FACTORS.index(2.0)))
        shown.append(after)
        asked.append(flows.asked)

    dark = [(row, nth) for row, nth in np.argwhere(fleet.dark) if 0 < nth < 288]
    assert 50 < len(dark) < 400
    for row, nth in dark:
        np.testing.assert_array_equal(shown[nth][row], shown[nth - 1][row])
        assert asked[nth][row].tolist() == [0, 0, 0]
    assert np.array(asked).sum() > 0


def test_observations_stay_within_their_space_however_bad_things_are() -> None:
    flood = replace(SAMPLE, source=lambda rng: generate((TrainingProfile("research", 9_000.0),), 1, rng))
    flood = replace(flood, queues=("research",))
    env = Cluster(flood)
    env.reset(seed=0)

    for _ in range(200):
        seen = env.step(np.zeros(3, dtype=np.int64))[0]

    assert env.observation_space.contains(seen)


def test_stable_baselines_learns_on_it() -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
    from models.world import Worlds

    worlds = Worlds(4)
    model = sb3.PPO("MlpPolicy", worlds, n_steps=80, batch_size=160, n_epochs=1, seed=0, device="cpu").learn(1_300)

    assert model.num_timesteps >= 1_300
    worlds.reset()
    for _ in range(287):
        worlds.step(np.full((4, 3), UNMOVED))
    seen, _, dones, infos = worlds.step(np.full((4, 3), UNMOVED))
    assert dones.all()
    assert all(info["TimeLimit.truncated"] for info in infos)
    assert not np.array_equal(infos[0]["terminal_observation"], seen[0])


def test_worlds_of_one_seed_are_alike() -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
    from models.world import Worlds

    one, other = Worlds(2, seed=3), Worlds(2, seed=3)

    np.testing.assert_array_equal(one.reset(), other.reset())
    for _ in range(60):
        mine, theirs = (each.step(np.full((2, 3), UNMOVED)) for each in (one, other))
    np.testing.assert_array_equal(mine[0], theirs[0])


def test_each_world_of_stable_baselines_has_a_seed_of_its_own() -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
    from models.world import Worlds

    def hours(seed: int) -> np.ndarray:
        worlds = Worlds(2)
        worlds.seed(seed)
        worlds.reset()
        return np.array([worlds.step(np.full((2, 3), UNMOVED))[0] for _ in range(30)])

    # Stable-Baselines3 gives the second world the number after the first's.
    np.testing.assert_array_equal(hours(3)[:, 1, -20:], hours(4)[:, 0, -20:])
    assert not np.array_equal(hours(3)[:, 0], hours(3)[:, 1])
