"""PPO on days of a simulated cluster: the whole path in seconds, the same each time, and judged on other days."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="pip install 'gyropilot[train]' to learn")
pytest.importorskip("onnx", reason="pip install 'gyropilot[train]' to write networks")

import torch

from agents.encoding import FEATURES, UNMOVED
from agents.pilots import make_pilot
from agents.pilots.network import Card, load, read_card, running
from envs.faults import Surprises
from envs.residual import Lanes, followed_from
from envs.terms import Prices
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings
from models.network import to_onnx
from models.residual import ResidualWorlds
from models.school import Plan, School
from models.teaching import taught
from models.training import Learner
from tests.models.lessons import POOLS, RECIPE, course, lesson, school


@pytest.fixture(scope="module")
def shared() -> School:
    """Its days are lived through once for all tests."""
    return school()


def nobody(phrase: str) -> None:
    """Listens to nothing."""


def learner(shared: School, folder: Path) -> Learner:
    return Learner(shared, 0, folder, nobody, nobody)


def with_legs(asked: Learner, rollouts: int) -> Learner:
    """The same with checkpoints so often."""
    recipe = replace(asked.school.recipe, leg=rollouts)
    school = copy(asked.school)
    school.recipe = recipe
    return replace(asked, school=school)


def model(asked: Learner) -> Any:
    """As it is now."""
    return asked._model(asked._progress())


def worlds_of(shared: School) -> ResidualWorlds:
    return ResidualWorlds(Lanes(shared.grounds, 2, np.random.default_rng(0)))


def weights(asked: Learner) -> list[list[float]]:
    return [part.ravel().tolist() for pair in model(asked).policy.layers() for part in pair]


def test_a_training_leaves_a_network_that_runs_and_tells_what_it_is_worth(shared: School, tmp_path: Path) -> None:
    said: list[str] = []

    card = taught(shared, lesson(tmp_path / "net", steps=2_000), nobody, said.append)

    assert read_card(tmp_path / "net") == card
    assert Card.model_validate_json(card.model_dump_json()) == card
    assert [(found.seed, found.steps) for found in card.seeds] == [(0, 2_016)]
    assert card.data.fingerprint == json.loads((tmp_path / "net" / "run.json").read_text())["fingerprint"]
    assert card.data.pools == ("bought", "spot")
    assert card.data.held_out_days == 2.0
    assert [phrase.split(", on")[0] for phrase in said] == ["seed 0: 1,056 steps", "seed 0: 2,016 steps"]
    pilot = make_pilot(PilotSettings(name="learned", network=tmp_path / "net"))
    held_out = shared.held_out()
    paid = followed_from(held_out.stretches[0], pilot).sum()
    assert 100 * (paid / held_out.base_usd.sum() - 1) == pytest.approx(card.seeds[0].held_out.mid)


def test_the_seed_that_is_best_on_validation_days_is_published(shared: School, tmp_path: Path) -> None:
    card = taught(shared, lesson(tmp_path / "net", steps=96, seeds=(0, 1)), nobody, nobody)

    assert card.chosen_seed == min(card.seeds, key=lambda found: found.validation_percent).seed
    assert all(found.validation_percent <= 0.0 for found in card.seeds)


def test_a_network_begins_as_its_base(shared: School, tmp_path: Path) -> None:
    asked = learner(shared, tmp_path)

    network = running(asked.policy(asked._progress()))

    assert shared.validation.paid(network).tolist() == shared.validation.base_usd.tolist()


def test_the_same_seed_learns_the_same_and_another_something_else(shared: School, tmp_path: Path) -> None:
    one, again = learner(shared, tmp_path / "a"), learner(shared, tmp_path / "b")
    other = replace(one, seed=1, folder=tmp_path / "c")

    known = [asked.learn(96) for asked in (one, again, other)]

    assert known[0] == known[1]
    assert weights(one) == weights(again) != weights(other)


def test_a_training_that_was_interrupted_ends_where_it_would_have_ended(shared: School, tmp_path: Path) -> None:
    whole, broken = (with_legs(learner(shared, tmp_path / name), 2) for name in ("a", "b"))
    whole.learn(288)

    broken.learn(192)
    (tmp_path / "b" / "checkpoint-999.zip").write_bytes(b"of a leg that was not finished")
    progress = broken.learn(288)

    assert (progress.steps, progress.legs) == (288, 2)
    assert weights(whole) == weights(broken)
    assert [path.name for path in (tmp_path / "b").glob("checkpoint-*")] == ["checkpoint-288.zip"]


def test_a_training_that_was_interrupted_meets_the_surprises_that_it_would_have_met(tmp_path: Path) -> None:
    rough = Surprises().often(10.0)
    whole, broken = (with_legs(learner(school(surprises=rough), tmp_path / name), 2) for name in ("a", "b"))
    whole.learn(288)

    broken.learn(192)
    anew = replace(broken, school=with_legs(learner(school(surprises=rough), tmp_path / "b"), 2).school)
    progress = anew.learn(288)

    assert (progress.steps, progress.legs) == (288, 2)
    assert weights(whole) == weights(anew)


def test_surprises_meet_the_days_to_learn_from_and_no_others(tmp_path: Path) -> None:
    calm, rough = school(), school(surprises=Surprises().often(10.0))

    assert rough.validation.base_usd.tolist() == calm.validation.base_usd.tolist()
    assert rough.held_out().base_usd.tolist() == calm.held_out().base_usd.tolist()
    assert rough.grounds[0].days[0].base_usd.tolist() != calm.grounds[0].days[0].base_usd.tolist()
    assert rough.data("naive", "f").surprises["outages"] == pytest.approx(2.0)
    taught(calm, lesson(tmp_path / "net", steps=1), nobody, nobody)
    with pytest.raises(SettingsError, match="was begun with other jobs"):
        taught(rough, lesson(tmp_path / "net", resume=True), nobody, nobody)


def test_a_training_goes_on_only_as_it_was_begun(shared: School, tmp_path: Path) -> None:
    taught(shared, lesson(tmp_path / "net", steps=96), nobody, nobody)

    more = taught(shared, lesson(tmp_path / "net", steps=192, resume=True), nobody, nobody)

    assert more.seeds[0].steps == 192
    with pytest.raises(SettingsError, match="--resume goes on with it"):
        taught(shared, lesson(tmp_path / "net"), nobody, nobody)
    with pytest.raises(SettingsError, match="was begun with other jobs"):
        taught(shared, lesson(tmp_path / "net", base=PilotSettings(dead_band_gpus=9), resume=True), nobody, nobody)
    (tmp_path / "net" / "seed-0" / "checkpoint-192.zip").write_bytes(b"cut off")
    with pytest.raises(SettingsError, match=r"checkpoint-192\.zip cannot be gone on from"):
        taught(shared, lesson(tmp_path / "net", steps=400, resume=True), nobody, nobody)
    (tmp_path / "net" / "seed-0" / "progress.json").write_text(json.dumps({"seed": 0}))
    with pytest.raises(SettingsError, match="cannot be gone on from"):
        taught(shared, lesson(tmp_path / "net", resume=True), nobody, nobody)


def test_torch_and_onnx_choose_the_same_factors(shared: School, tmp_path: Path) -> None:
    asked = learner(shared, tmp_path)
    asked.learn(96)
    policy = model(asked).policy
    rows = np.random.default_rng(0).normal(size=(64, 2, len(FEATURES))).astype(np.float32)

    in_torch, _ = policy.predict(rows, deterministic=True)
    network = running(to_onnx(policy.layers()))

    in_onnx = np.array([network(pools).argmax(axis=1) for pools in rows])
    assert in_onnx.tolist() == in_torch.tolist()
    with torch.no_grad():
        logits = policy.get_distribution(torch.as_tensor(rows)).distribution[0].logits
    scores = torch.as_tensor(np.array([network(pools)[0] for pools in rows]))
    assert logits.numpy() == pytest.approx(torch.log_softmax(scores, dim=1).numpy(), abs=1e-5)


def test_pools_are_treated_alike(shared: School, tmp_path: Path) -> None:
    policy = model(learner(shared, tmp_path)).policy
    rows = torch.as_tensor(np.random.default_rng(0).normal(size=(4, 2, len(FEATURES))).astype(np.float32))

    with torch.no_grad():
        value, turned = policy.predict_values(rows), policy.predict_values(rows.flip(1))
        first, second = policy.get_distribution(rows).distribution
        of_second, of_first = policy.get_distribution(rows.flip(1)).distribution

    assert turned.numpy() == pytest.approx(value.numpy(), abs=1e-6)
    assert of_first.logits.numpy() == pytest.approx(first.logits.numpy(), abs=1e-6)
    assert of_second.logits.numpy() == pytest.approx(second.logits.numpy(), abs=1e-6)


def test_stable_baselines_finds_days_that_are_cut_off_and_not_lost(shared: School) -> None:
    worlds = worlds_of(shared)
    worlds.reset()

    for _ in range(288):
        shown, saved, over, infos = worlds.step(np.full((2, 2), UNMOVED))

    assert over.tolist() == [True, True]
    assert saved.tolist() == [0.0, 0.0]
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True]
    assert infos[0]["terminal_observation"].shape == shown[0].shape == (2, len(FEATURES))
    assert worlds.observation_space.contains(shown[0])


def test_one_network_learns_on_several_clusters_and_is_told_apart_on_each(tmp_path: Path) -> None:
    large = tuple(replace(pool, name=f"large-{pool.name}", gpus_per_node=16) for pool in POOLS)
    both = School((course(), course(pools=large)), Plan(held_out=2.0, validation=1.0), RECIPE)

    card = taught(both, lesson(tmp_path / "net", steps=96), nobody, nobody)

    assert (card.data.clusters, card.data.held_out_days) == (2, 4.0)
    assert card.data.pools == ("bought", "spot", "large-bought", "large-spot")
    seed = card.seeds[0]
    assert len(seed.by_cluster) == 2
    assert seed.held_out.mid == pytest.approx(np.mean([each.mid for each in seed.by_cluster]))


def test_a_dear_cluster_counts_for_no_more_than_a_cheap_one() -> None:
    dear = replace(course(), prices=Prices(waiting_usd_per_gpu_hour=1_000.0))
    both = School((course(), dear), Plan(held_out=2.0, validation=1.0), RECIPE)

    cheap_usd, dear_usd = both.validation.by_cluster(both.validation.base_usd)

    assert both.validation.stretches[1].base_usd.sum() > 2 * both.validation.stretches[0].base_usd.sum()
    assert cheap_usd.sum() == pytest.approx(dear_usd.sum())


def test_each_seed_leaves_a_network_that_can_be_tried_beside_the_chosen_one(shared: School, tmp_path: Path) -> None:
    card = taught(shared, lesson(tmp_path / "net", steps=96, seeds=(0, 1)), nobody, nobody)

    tried = [load(tmp_path / "net" / f"seed-{seed}")[0] for seed in (0, 1)]

    assert [each.chosen_seed for each in tried] == [0, 1]
    assert card.network_sha256 == tried[card.chosen_seed].network_sha256


def test_what_cannot_be_learned_on_is_refused(shared: School) -> None:
    owned = course(pools=POOLS[:1])

    with pytest.raises(SettingsError, match="no pool whose size can be turned"):
        School((owned,), Plan(held_out=2.0, validation=1.0), RECIPE)
    with pytest.raises(SettingsError, match="as many pools to turn as each other, and these have bought, spot; bought"):
        School((course(), course(pools=POOLS[:2])), Plan(held_out=2.0, validation=1.0), RECIPE)
    with pytest.raises(SettingsError, match=r"days of jobs leave .* to learn from"):
        school(days=3.0)
    with pytest.raises(SettingsError, match="--seeds takes whole numbers"):
        taught(shared, lesson(Path("nowhere"), seeds=(1, 1)), nobody, nobody)
