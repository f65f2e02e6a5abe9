from __future__ import annotations

from datetime import timedelta

import pytest

from agents import ALL_AGENTS, make_agents, propose_all
from agents.pilots import ALL_PILOTS, Hold, Newsvendor, Reactive, Static, make_pilot
from agents.protocols import Pilot
from gyropilot.domain import Dial, Intent, Line, View
from gyropilot.settings import GuardrailSettings, PilotSettings, QueueSettings, Settings
from tests.fakes import GPU, forecast, pool, queue, state, view, workload


def test_capacity_comes_before_quota_and_quota_before_pauses() -> None:
    seen = view(state([pool()], [queue("a", 16, running=8), queue("b", 16)], [workload(queue="a", name="job")]))
    intent = Intent("any", {"h100": 8}, {Line("a", GPU): -4, Line("b", GPU): 4}, {Line("a", GPU): 8})

    dials = [action.dial for action in propose_all(seen, intent)]

    assert dials == [Dial.POOL_SIZE, Dial.QUEUE_QUOTA, Dial.QUEUE_QUOTA, Dial.WORKLOAD]
    assert [agent.name for agent in ALL_AGENTS] == ["provisioner", "rebalancer", "preemptor", "resumer"]


def test_agents_keep_to_the_steps_and_floors_of_the_guardrails() -> None:
    told = Settings(
        guardrails=GuardrailSettings(max_step_share=0.5, max_step_gpus=8, guaranteed_share=0.75),
        queues={"kept": QueueSettings(protected=True)},
    )
    queues = [queue("a", 16), queue("kept", 16), queue("b", 16)]
    intent = Intent("any", {"h100": 64}, {Line("a", GPU): -8, Line("kept", GPU): -8, Line("b", GPU): 16})

    actions = propose_all(view(state([pool()], queues)), intent, make_agents(told))

    assert {a.subject: a.delta for a in actions} == {"h100": 1, "a": -4, "b": 4}


@pytest.mark.parametrize(
    ("name", "pilot"),
    [
        ("hold", Hold()),
        ("static", Static(0.9)),
        ("reactive", Reactive(timedelta(minutes=20))),
        ("newsvendor", Newsvendor(timedelta(minutes=20), timedelta(hours=2), timedelta(hours=3), 4, 0.8, False)),
    ],
)
def test_settings_choose_the_pilot_and_its_hyperparameters(name: str, pilot: Pilot) -> None:
    told = PilotSettings.model_validate(
        {
            "name": name,
            "static_quantile": 0.9,
            "scale_down_after": "20m",
            "pay_back": "2h",
            "stabilisation": "3h",
            "dead_band_gpus": 4,
            "giving_quantile": 0.8,
            "preempt": False,
        }
    )

    assert make_pilot(told) == pilot


def test_default_settings_are_the_pilots_own_defaults() -> None:
    assert [make_pilot(PilotSettings.model_validate({"name": p.name})) for p in ALL_PILOTS] == list(ALL_PILOTS)


def test_a_full_turn_gives_back_what_a_guaranteed_share_waits_for() -> None:
    rich = queue("rich", 16, running=28)
    poor = queue("poor", 16, running=4, pending=8)
    gang = workload("sweep", "rich", gpus=8)
    seen = View(state([pool(idle_gpus=0.0, max_nodes=4)], [rich, poor], [gang]), forecast({"rich": 28, "poor": 12}))

    actions = propose_all(seen, Newsvendor().steer(seen))

    assert [str(a) for a in actions] == ["pause rich/sweep (8 GPUs)"]
