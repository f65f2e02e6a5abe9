"""Asks every guardrail about every action and keeps all objections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from gyropilot.domain import Action, Objection, Verdict
from gyropilot.errors import GyropilotError
from gyropilot.guardrails.protocol import Guardrail, Pairing, Situation

# Everything that arithmetic and look-ups on odd data can raise: an objection to this one action, and the others are
# still judged. What is not listed here ends the review, and with it the cycle, before anything has been touched.
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    GyropilotError,
    LookupError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


def review(actions: Iterable[Action], guardrails: Sequence[Guardrail], situation: Situation) -> tuple[Verdict, ...]:
    """One verdict per action, in their order. What is approved counts against what follows.

    At last, what rests on something that was held back is held back too; nothing is approved anew.
    """
    verdicts: list[Verdict] = []
    for action in actions:
        verdict = Verdict(action, tuple(_objections(action, guardrails, situation)))
        verdicts.append(verdict)
        if verdict.approved:
            situation = replace(situation, approved=(*situation.approved, action))
    for guardrail in guardrails:
        if isinstance(guardrail, Pairing):
            verdicts = _paired(verdicts, guardrail, situation)
            situation = replace(situation, approved=tuple(v.action for v in verdicts if v.approved))
    return tuple(verdicts)


def _paired(verdicts: list[Verdict], guardrail: Pairing, situation: Situation) -> list[Verdict]:
    """The verdicts after the guardrail has held back, one by one, what misses its counterpart."""
    told = list(verdicts)
    while approved := tuple(v.action for v in told if v.approved):
        found = guardrail.unpaired(replace(situation, approved=approved))
        if found is None:
            break
        at = max(i for i, v in enumerate(told) if v.approved and v.action == found[0])
        told[at] = Verdict(found[0], (Objection(guardrail.name, found[1]),))
    return told


def _objections(action: Action, guardrails: Sequence[Guardrail], situation: Situation) -> Iterator[Objection]:
    for guardrail in guardrails:
        if guardrail.dials and action.dial not in guardrail.dials:
            continue
        sentence = _asked(guardrail, action, situation)
        if sentence is not None:
            yield Objection(guardrail.name, sentence)


def _asked(guardrail: Guardrail, action: Action, situation: Situation) -> str | None:
    """The guardrail's answer; one that cannot answer fails closed."""
    try:
        return guardrail.objection(action, situation)
    except FAILURES as problem:
        return f"{guardrail.name} could not judge it ({type(problem).__name__}: {problem}); held back to be safe"
