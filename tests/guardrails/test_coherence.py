"""An action must match what was seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyropilot.domain import Action, Dial, Effect
from gyropilot.guardrails.coherence import Coherence
from tests.fakes import action, pool, queue, workload
from tests.guardrails.situations import pause, requota, resize, situation

SEEN = situation([queue("research", 16)], [pool()], [workload()])


@pytest.mark.parametrize("wish", [requota("research", 16, 12), resize(4, 5), pause()])
def test_agrees_with_what_matches_the_state(wish: Action) -> None:
    assert Coherence().objection(wish, SEEN) is None


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (requota("research", 16, 16), "research is 16 already; there is nothing to turn"),
        (requota("research", 16, -1), "research cannot be set to -1"),
        (requota("research", 12, 8), "research was seen at 16, the action expects 12"),
        (requota("ghost", 16, 12), "ghost/h100/nvidia.com/gpu was not seen in the cluster"),
        (requota("research", 16, 12, "a100"), "research/a100/nvidia.com/gpu was not seen in the cluster"),
        (resize(3, 4), "h100 was seen at 4, the action expects 3"),
        (resize(4, 5, "ghost"), "nodepools.karpenter.sh/ghost was not seen in the cluster"),
        (pause("ghost"), "research/ghost was not seen in the cluster"),
        (replace(pause(), before=1, after=2), "research/job cannot be set to 2"),
    ],
)
def test_objects_to_what_was_not_seen_so(wish: Action, sentence: str) -> None:
    assert Coherence().objection(wish, SEEN) == sentence


def test_a_dial_is_known_by_its_kind_and_its_target() -> None:
    limit = action(Dial.POOL_LIMIT, 32, 40, target="nodepools.karpenter.sh/h100", gpus=8)

    assert Coherence().objection(limit, SEEN) == "nodepools.karpenter.sh/h100 was not seen in the cluster"


def test_a_dial_without_a_value_is_not_turned() -> None:
    unset = pool(dial=Dial.POOL_LIMIT, dial_value=None, dial_target="nodepools.karpenter.sh/h100/nvidia.com/gpu")

    sentence = Coherence().objection(action(Dial.POOL_LIMIT, 32, 40, gpus=8), situation([queue()], [unset]))

    assert sentence == "h100 had no pool-limit set when it was seen; set one for it to be turned"


def test_an_empty_target_finds_nothing() -> None:
    """Things that nothing changes have empty targets."""
    at = situation([queue()], [pool()], [workload(dial_target="")])

    assert Coherence().objection(replace(pause(), target=""), at) == "what is to be turned was not seen in the cluster"


def test_the_tenant_must_be_the_one_that_was_seen() -> None:
    stranger = replace(requota("research", 16, 12), queue="training")
    nobody = replace(requota("research", 16, 12), queue="")

    assert Coherence().objection(stranger, SEEN) == "research belongs to research, the action says training"
    assert Coherence().objection(nobody, SEEN) == "research belongs to research, the action says no queue"


def test_a_gang_of_a_queue_that_was_not_seen_is_left_alone() -> None:
    at = situation([], [pool()], [workload()])

    assert Coherence().objection(pause(), at) == "queue research was not seen in the cluster"


def test_a_pool_belongs_to_nobody_or_to_a_queue_that_is_there() -> None:
    assert Coherence().objection(replace(resize(4, 5), queue="research"), SEEN) is None
    assert (
        Coherence().objection(replace(resize(4, 5), queue="ghost"), SEEN) == "queue ghost was not seen in the cluster"
    )


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (replace(requota("research", 16, 12), gpus=0), "research would change by -4 GPUs, the action says 0"),
        (replace(resize(4, 6), gpus=2), "h100 would change by 16 GPUs, the action says 2"),
        (replace(pause(), gpus=-1), "research/job would change by -8 GPUs, the action says -1"),
    ],
)
def test_an_action_may_not_understate_the_gpus_that_it_moves(wish: Action, sentence: str) -> None:
    assert Coherence().objection(wish, SEEN) == sentence


@pytest.mark.parametrize("told", [0.0, 10.0, float("nan"), -1.0])
def test_an_action_may_not_understate_the_work_that_it_throws_away(told: float) -> None:
    """Two hours and five minutes of restart on eight GPUs: 16.7 GPU-hours."""
    sentence = Coherence().objection(replace(pause(), expected=Effect(lost_gpu_hours=told)), SEEN)

    assert sentence == f"research/job would lose 16.7 GPU-hours of work, the action says {told:.1f}"


def test_resuming_a_paused_gang_loses_nothing() -> None:
    at = situation([queue()], [pool()], [workload(active=False, started=None)])
    resume = replace(pause(lost=0.0), before=0, after=1, gpus=8)

    assert Coherence().objection(resume, at) is None
