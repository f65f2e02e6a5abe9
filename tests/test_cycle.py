"""One turn of the loop: each stage's value goes to the next, and nothing is touched before it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from actuators.protocol import Actuator
from gyropilot.cycle import Autopilot, NoMemory
from gyropilot.domain import Action, Cycle, Dial, Intent, Outcome, OutcomeStatus, Quota, Turn, View
from gyropilot.errors import ObservationError
from gyropilot.guardrails.protocol import Situation
from tests.fakes import GPU, NOW, action, forecast, pool, queue, state, workload

SEEN = state([pool()], [queue(running=8.0)])
WANTED = (action(Dial.POOL_SIZE, 4, 5), action(Dial.QUEUE_QUOTA, 16, 12))


@dataclass
class Diary:
    """A memory that keeps the order of things, shared with the dials."""

    events: list[str] = field(default_factory=list)
    quotas: Mapping[str, int] = field(default_factory=dict)
    pauses: Mapping[str, datetime] = field(default_factory=dict)
    concluded: tuple[Outcome, ...] = ()

    def recent(self, since: datetime) -> tuple[Turn, ...]:
        self.events.append(f"recent since {(NOW - since) / timedelta(hours=1):g} h")
        return ()

    def entitled(self) -> Mapping[str, int]:
        return self.quotas

    def entitle(self, quotas: Sequence[Quota]) -> None:
        self.events.append(f"entitled {len(quotas)}")

    def paused(self) -> Mapping[str, datetime]:
        return self.pauses

    def intend(self, cycle: Cycle) -> int:
        self.events.append(f"intended {len(cycle.verdicts)}")
        return 41

    def conclude(self, cycle_id: int, outcomes: Sequence[Outcome]) -> None:
        self.events.append(f"concluded {cycle_id}")
        self.concluded = tuple(outcomes)


@dataclass(frozen=True)
class PaperDial:
    """A dial that writes into the diary what it was asked."""

    dial: Dial
    value: int
    events: list[str]
    done: OutcomeStatus = OutcomeStatus.DONE

    def read(self, target: str) -> int:
        return self.value

    def turn(self, target: str, before: int, after: int) -> str:
        self.events.append(f"turned {self.dial} to {after}")
        return f"{target}: {before} → {after}"


class Wisher:
    """A pilot and an agent that want what the test says."""

    name = "wisher"

    def steer(self, view: View) -> Intent:
        return Intent("wisher", {"h100": 8})

    def propose(self, view: View, intent: Intent) -> list[Action]:
        return list(WANTED) if intent.pool_gpus else []


class NoQuotas:
    """Objects to every change of a quota."""

    name = "no-quotas"
    dials = (Dial.QUEUE_QUOTA,)

    def objection(self, wanted: Action, situation: Situation) -> str | None:
        return "quotas are not to be moved"


def autopilot(diary: Diary, **changes: Any) -> Autopilot:
    dials: Mapping[Dial, Actuator] = {
        Dial.POOL_SIZE: PaperDial(Dial.POOL_SIZE, 4, diary.events),
        Dial.QUEUE_QUOTA: PaperDial(Dial.QUEUE_QUOTA, 16, diary.events),
    }
    parts: dict[str, Any] = {
        "observe": lambda now: SEEN,
        "forecast": lambda seen: forecast({"research": 8.0}),
        "pilot": Wisher(),
        "agents": (Wisher(),),
        "guardrails": (NoQuotas(),),
        "actuators": dials,
        "memory": diary,
        "look_back": timedelta(hours=24),
        "mode": "act",
    }
    return Autopilot(**{**parts, **changes})


def test_a_decision_carries_every_wish_with_its_verdict() -> None:
    cycle = autopilot(Diary()).decide(NOW)

    assert [str(v) for v in cycle.verdicts] == ["approved", "held back"]
    assert cycle.verdicts[1].objections[0].sentence == "quotas are not to be moved"
    assert cycle.sentence == "2 wanted, 1 held back"


def test_a_decision_says_what_is_expected_of_each_wish() -> None:
    node, quota = autopilot(Diary()).decide(NOW).verdicts

    assert node.action.expected.usd.mid == 8 * 24 * 2.0
    assert quota.action.expected.usd.mid == 0


def test_deciding_touches_nothing_and_writes_nothing() -> None:
    diary = Diary()

    autopilot(diary).decide(NOW)

    assert diary.events == ["recent since 24 h"]


def test_a_step_is_written_down_before_and_after_what_is_touched() -> None:
    diary = Diary()

    cycle = autopilot(diary).step(NOW)

    assert diary.events == [
        "entitled 1",
        "recent since 24 h",
        "intended 2",
        "turned pool-size to 5",
        "concluded 41",
    ]
    assert cycle.id == 41
    assert cycle.sentence == "2 wanted, 1 held back, 1 done"
    assert diary.concluded == cycle.outcomes


def test_what_is_held_back_is_not_touched() -> None:
    diary = Diary()

    autopilot(diary).step(NOW)

    assert not [event for event in diary.events if "queue-quota" in event]


def test_a_plan_asks_the_dials_and_writes_nothing_down() -> None:
    diary = Diary()

    cycle = autopilot(diary, memory=NoMemory(), mode="plan").plan(NOW)

    assert diary.events == ["turned pool-size to 5"]
    assert [outcome.diff for outcome in cycle.outcomes] == ["nodepools.karpenter.sh/h100: 4 → 5"]


def test_a_refused_observation_ends_the_cycle_before_anything_is_written() -> None:
    diary = Diary()

    def refuse(now: datetime) -> Any:
        raise ObservationError("stale")

    with pytest.raises(ObservationError):
        autopilot(diary, observe=refuse).step(NOW)

    assert diary.events == []


def test_a_queue_knows_its_quota_from_before_gyropilot_ever_turned_it() -> None:
    diary = Diary(quotas={f"research/h100/{GPU}": 24})

    cycle = autopilot(diary).decide(NOW)

    assert cycle.state.queue("research").quotas[0].entitled_gpus == 24


def test_a_workload_knows_since_when_gyropilot_holds_it_paused() -> None:
    seen = state([pool()], [queue()], [workload("job", active=False), workload("other", active=False)])
    diary = Diary(pauses={"research/job": NOW - timedelta(hours=1)})

    cycle = autopilot(diary, observe=lambda now: seen).decide(NOW)

    assert [w.paused_at for w in cycle.state.workloads] == [NOW - timedelta(hours=1), None]


def test_a_pilot_that_wants_nothing_ends_in_a_quiet_sentence() -> None:
    cycle = autopilot(Diary(), agents=()).decide(NOW)

    assert cycle.sentence == "nothing wanted; holding still"
