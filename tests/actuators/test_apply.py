"""One sentence for whatever becomes of an action; and several actions never leave a cohort with more quota."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuators.apply import apply, apply_all
from actuators.patch import ServerDial
from actuators.protocol import Actuator
from actuators.queue_quota import QueueQuota
from actuators.rehearsal import Rehearsal
from gyropilot.domain import Action, Dial, Outcome, OutcomeStatus
from gyropilot.errors import ConflictError, ForbiddenError, KubernetesError, LeftAlone, NotFoundError
from tests.actuators.memory import QUEUE, Json, Memory, cluster_queue, refusal
from tests.fakes import GPU, action

Problem = KubernetesError | LeftAlone


@dataclass
class Desk:
    """Dials on a desk: each target has a value; some cannot be read, some cannot be turned."""

    values: dict[str, int]
    dial: Dial = Dial.QUEUE_QUOTA
    done: OutcomeStatus = OutcomeStatus.DONE
    unreadable: Mapping[str, Problem] = field(default_factory=dict)
    stuck: Mapping[str, Problem] = field(default_factory=dict)
    touched: list[str] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)

    def read(self, target: str) -> int:
        self.touched.append(target)
        if target in self.unreadable:
            raise self.unreadable[target]
        return self.values[target]

    def turn(self, target: str, before: int, after: int) -> str:
        if target in self.stuck:
            raise self.stuck[target]
        assert self.values[target] == before
        self.values[target] = after
        self.totals.append(sum(self.values.values()))
        return f"value: {before} → {after}"


class OnceReadable(Memory):
    """Answers the first read only."""

    problem: KubernetesError

    def get(self, path: str) -> Json:
        seen = super().get(path)
        self.broken["GET", path] = self.problem
        return seen


TARGET = action().target
NO_ANSWER = refusal(KubernetesError, None, "read timed out")


def outcome_of(problem: Problem, done: OutcomeStatus = OutcomeStatus.DONE) -> Outcome:
    """Of an action whose turn meets a problem."""
    return apply(action(), Desk({TARGET: 16}, done=done, stuck={TARGET: problem}))


def test_turns_a_dial_that_stands_where_it_was_seen() -> None:
    desk = Desk({TARGET: 16})

    outcome = apply(action(before=16, after=12), desk)

    assert (outcome.status, outcome.sentence) == (OutcomeStatus.DONE, "turned from 16 to 12")
    assert outcome.diff == "value: 16 → 12"
    assert desk.values == {TARGET: 12}


@pytest.mark.parametrize(("before", "after", "sentence"), [(1, 0, "paused"), (0, 1, "resumed")])
def test_says_of_a_workload_what_an_operator_would_say(before: int, after: int, sentence: str) -> None:
    wanted = action(Dial.WORKLOAD, before, after)

    assert apply(wanted, Desk({wanted.target: before}, dial=Dial.WORKLOAD)).sentence == sentence


def test_a_rehearsal_says_that_it_would_be_taken() -> None:
    outcome = apply(action(), Desk({TARGET: 16}, done=OutcomeStatus.REHEARSED))

    assert (outcome.status, outcome.sentence) == (OutcomeStatus.REHEARSED, "the API server would take it")
    assert outcome.diff == "value: 16 → 12"


def test_leaves_alone_what_someone_else_moved() -> None:
    desk = Desk({TARGET: 12})

    outcome = apply(action(before=16, after=8), desk)

    assert (outcome.status, outcome.sentence) == (OutcomeStatus.LEFT_ALONE, "found at 12, expected 16; left alone")
    assert desk.values == {TARGET: 12}


def test_leaves_alone_what_someone_else_already_turned_to_the_wanted_value() -> None:
    assert apply(action(before=16, after=12), Desk({TARGET: 12})).status is OutcomeStatus.LEFT_ALONE


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (ConflictError("found at 14, expected 16"), "found at 14, expected 16; left alone"),
        (refusal(ConflictError, 409, "the object has been modified"), "the object has been modified; left alone"),
        (refusal(NotFoundError, 404, 'clusterqueues "x" not found'), 'clusterqueues "x" not found; left alone'),
        (LeftAlone("queue x is being deleted"), "queue x is being deleted; left alone"),
    ],
)
def test_leaves_alone_what_is_not_as_it_was_seen(problem: Problem, sentence: str) -> None:
    outcome = outcome_of(problem)

    assert (outcome.status, outcome.sentence) == (OutcomeStatus.LEFT_ALONE, sentence)


def test_says_which_rule_is_missing_when_not_allowed() -> None:
    said = (
        'clusterqueues.kueue.x-k8s.io "research" is forbidden: User "bob" cannot patch resource "clusterqueues" '
        'in API group "kueue.x-k8s.io" at the cluster scope'
    )

    outcome = outcome_of(refusal(ForbiddenError, 403, said))

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence == (
        "not allowed; add to the ClusterRole: "
        '{apiGroups: ["kueue.x-k8s.io"], resources: ["clusterqueues"], verbs: ["patch"]}'
    )


def test_a_webhook_that_denies_is_no_missing_role() -> None:
    said = 'admission webhook "vclusterqueue.kb.io" denied the request: must be greater than or equal to 0'

    outcome = outcome_of(refusal(ForbiddenError, 403, said))

    assert (outcome.status, outcome.sentence) == (OutcomeStatus.REFUSED, f"the API server refused: {said}")


@pytest.mark.parametrize("status", [400, 401, 405, 415, 422, 429])
def test_says_the_server_s_own_sentence_when_it_refuses(status: int) -> None:
    outcome = outcome_of(refusal(KubernetesError, status, "spec.replicas: Invalid value: -3"))

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence == "the API server refused: spec.replicas: Invalid value: -3"


def test_a_webhook_that_is_down_refuses_for_certain() -> None:
    said = 'Internal error occurred: failed calling webhook "vclusterqueue.kb.io": connection refused'

    assert outcome_of(refusal(KubernetesError, 500, said)).status is OutcomeStatus.REFUSED


@pytest.mark.parametrize("status", [None, 500, 502, 503, 504])
def test_does_not_claim_to_know_when_no_answer_settles_it(status: int | None) -> None:
    outcome = outcome_of(refusal(KubernetesError, status, "timeout"))

    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.sentence == f"not known whether it was turned: PATCH /apis/x: {status} timeout"


def test_knows_that_an_unanswered_rehearsal_turned_nothing() -> None:
    outcome = outcome_of(NO_ANSWER, done=OutcomeStatus.REHEARSED)

    assert outcome.status is OutcomeStatus.FAILED
    assert outcome.sentence.startswith("nothing was turned, the rehearsal was not answered: ")


def test_knows_that_nothing_was_turned_when_it_could_not_even_be_read() -> None:
    outcome = apply(action(), Desk({TARGET: 16}, unreadable={TARGET: NO_ANSWER}))

    assert outcome.status is OutcomeStatus.LEFT_ALONE
    assert outcome.sentence.startswith("nothing was turned, for it could not be read: ")


@pytest.mark.parametrize("status", [None, 500, 504])
@pytest.mark.parametrize("kind", [lambda dial: dial, Rehearsal])
def test_knows_that_nothing_was_turned_when_it_could_not_be_read_a_second_time(
    status: int | None, kind: Callable[[ServerDial], Actuator]
) -> None:
    memory = OnceReadable({QUEUE: cluster_queue("16")})
    memory.problem = refusal(KubernetesError, status, "read timed out")

    outcome = apply(action(before=16, after=12), kind(QueueQuota(memory.api)))

    assert outcome.status is OutcomeStatus.LEFT_ALONE
    assert outcome.sentence.startswith("nothing was turned, for it could not be read: ")
    assert outcome.sentence.endswith("read timed out; left alone")
    assert (memory.patches, memory.rehearsed) == ([], [])


def test_says_which_rule_is_missing_to_read() -> None:
    said = 'workloads "j" is forbidden: User "bob" cannot get resource "workloads" in API group "kueue.x-k8s.io"'

    outcome = apply(action(), Desk({TARGET: 16}, unreadable={TARGET: refusal(ForbiddenError, 403, said)}))

    assert outcome.status is OutcomeStatus.REFUSED
    assert outcome.sentence.endswith('{apiGroups: ["kueue.x-k8s.io"], resources: ["workloads"], verbs: ["get"]}')


def test_an_undo_puts_back_what_was_turned() -> None:
    desk = Desk({TARGET: 16})

    apply(action(before=16, after=12), desk)
    outcome = apply(action(before=16, after=12).undo(), desk)

    assert (outcome.sentence, desk.values) == ("turned from 12 to 16", {TARGET: 16})


def test_an_undo_leaves_alone_what_was_turned_again_since() -> None:
    desk = Desk({TARGET: 10})

    outcome = apply(action(before=16, after=12).undo(), desk)

    assert (outcome.sentence, desk.values) == ("found at 10, expected 12; left alone", {TARGET: 10})


def quota(name: str, before: int, after: int, resource: str = GPU) -> Action:
    return action(before=before, after=after, target=f"{name}/h100/{resource}", subject=name, resource=resource)


GIVE, TAKE = quota("research", 16, 12), quota("product", 8, 12)
GIVER, TAKER = GIVE.target, TAKE.target


def desk(**changes: Any) -> Desk:
    return replace(Desk({GIVER: 16, TAKER: 8}), **changes)


def all_on(each: Desk) -> Mapping[Dial, Desk]:
    return dict.fromkeys(Dial, each)


def test_nothing_wanted_nothing_done() -> None:
    assert apply_all([], all_on(desk())) == ()


@pytest.mark.parametrize("wanted", list(permutations((GIVE, TAKE))))
def test_gives_before_it_takes_and_answers_in_the_order_given(wanted: tuple[Action, ...]) -> None:
    moved = desk()

    outcomes = apply_all(wanted, all_on(moved))

    assert moved.touched == [GIVER, TAKER]
    assert [outcome.action for outcome in outcomes] == list(wanted)
    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.DONE] * 2


REFUSED = refusal(KubernetesError, 422, "Invalid value")


@pytest.mark.parametrize("problem", [REFUSED, NO_ANSWER, ConflictError("moved"), LeftAlone("stopped")])
@pytest.mark.parametrize("wanted", list(permutations((GIVE, TAKE))))
def test_takes_nothing_when_the_giver_was_not_turned(problem: Problem, wanted: tuple[Action, ...]) -> None:
    moved = desk(stuck={GIVER: problem})

    outcomes = {outcome.action.subject: outcome for outcome in apply_all(wanted, all_on(moved))}

    assert outcomes["product"].status is OutcomeStatus.LEFT_ALONE
    assert moved.values == {GIVER: 16, TAKER: 8}


def test_says_for_whose_sake_a_raise_was_left_alone() -> None:
    _, taken = apply_all([GIVE, TAKE], all_on(desk(stuck={GIVER: REFUSED})))

    assert taken.sentence == (
        "this would come on top, for it was not done: lower queue-quota of research from 16 to 12 GPUs; left alone"
    )


def test_a_giver_that_someone_else_moved_pays_for_nothing() -> None:
    moved = desk(values={GIVER: 14, TAKER: 8})

    _, taken = apply_all([GIVE, TAKE], all_on(moved))

    assert (taken.status, moved.values) == (OutcomeStatus.LEFT_ALONE, {GIVER: 14, TAKER: 8})


def test_a_refused_rehearsal_pays_for_nothing_either() -> None:
    rehearsed = desk(done=OutcomeStatus.REHEARSED, stuck={GIVER: REFUSED})

    assert [o.status for o in apply_all([GIVE, TAKE], all_on(rehearsed))] == [
        OutcomeStatus.REFUSED,
        OutcomeStatus.LEFT_ALONE,
    ]


def test_a_rehearsed_giver_pays() -> None:
    outcomes = apply_all([TAKE, GIVE], all_on(desk(done=OutcomeStatus.REHEARSED)))

    assert [outcome.status for outcome in outcomes] == [OutcomeStatus.REHEARSED] * 2


def test_a_giver_of_another_resource_is_beside_the_point() -> None:
    slices = quota("research", 7, 6, resource="nvidia.com/mig-1g.10gb")
    moved = Desk({slices.target: 7, TAKER: 8}, stuck={slices.target: REFUSED})

    _, taken = apply_all([slices, TAKE], all_on(moved))

    assert taken.status is OutcomeStatus.DONE


def test_lowerings_go_on_after_one_was_refused() -> None:
    other = quota("batch", 6, 4)
    moved = Desk({GIVER: 16, other.target: 6}, stuck={GIVER: REFUSED})

    _, lowered = apply_all([GIVE, other], all_on(moved))

    assert lowered.status is OutcomeStatus.DONE


def test_pools_and_workloads_do_not_wait_for_quotas() -> None:
    pool = action(Dial.POOL_SIZE, 4, 5)
    moved = Desk({GIVER: 16, pool.target: 4}, stuck={GIVER: REFUSED})

    _, grown = apply_all([GIVE, pool], all_on(moved))

    assert grown.status is OutcomeStatus.DONE


def test_tries_nothing_more_once_the_api_server_stops_answering() -> None:
    pool = action(Dial.POOL_SIZE, 4, 5)
    moved = Desk({GIVER: 16, pool.target: 4}, stuck={GIVER: NO_ANSWER})

    failed, left = apply_all([GIVE, pool], all_on(moved))

    assert failed.status is OutcomeStatus.FAILED
    assert (left.status, moved.touched) == (OutcomeStatus.LEFT_ALONE, [GIVER])
    assert left.sentence.startswith("nothing more is tried after: lower queue-quota of research")


PROBLEMS = st.sampled_from([None, REFUSED, NO_ANSWER, ConflictError("moved"), LeftAlone("stopped")])


@st.composite
def trades(draw: st.DrawFn) -> tuple[list[Action], Desk]:
    """Quota moved about among queues so that the total stays, some of them stuck, in any order."""
    before = draw(st.lists(st.integers(0, 20), min_size=2, max_size=6))
    gives = [draw(st.integers(0, value)) for value in before]
    gifts = sum(gives)
    after = [value - give for value, give in zip(before, gives, strict=True)]
    for _ in range(gifts):
        after[draw(st.integers(0, len(after) - 1))] += 1
    wanted = [quota(f"q{i}", b, a) for i, (b, a) in enumerate(zip(before, after, strict=True)) if a != b]
    problems = {each.target: problem for each in wanted if (problem := draw(PROBLEMS))}
    values = {f"q{i}/h100/{GPU}": value for i, value in enumerate(before)}
    return draw(st.permutations(wanted)), Desk(values, stuck=problems)


@settings(deadline=None)
@given(trades())
def test_no_cohort_ever_holds_more_quota_than_before(trade: tuple[list[Action], Desk]) -> None:
    wanted, moved = trade
    total = sum(moved.values.values())

    outcomes = apply_all(wanted, all_on(moved))

    assert max(moved.totals, default=0) <= total
    assert [outcome.action for outcome in outcomes] == wanted
