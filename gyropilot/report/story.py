"""What a report says, before anybody decides how it looks: the same sentences in HTML, SVG and terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from gyropilot.domain import Action, Cycle, Dial, Effect, Interval, Outcome, OutcomeStatus, Verdict
from gyropilot.report.words import (
    count,
    known,
    nothing_expected,
    number,
    signed,
    size,
    still,
    usd,
)

_MODES = {
    "plan": "This is a plan.",
    "rehearse": "Each approved change was only rehearsed: the API server was asked, and turned nothing.",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the four things that an action is expected to change."""

    name: str
    unit: str
    of: Callable[[Effect], Interval]
    spell: Callable[[float], str] = signed

    def middle(self, effect: Effect) -> str:
        """−$1,240; no change; a dash when not known."""
        interval = self.of(effect)
        if not known(interval):
            return "not known"
        return "no change" if still(interval) else self.spell(interval.mid)

    def range(self, effect: Effect) -> str:
        """−$1,510 to −$980; empty when nothing changes or nothing is known."""
        interval = self.of(effect)
        if not known(interval) or still(interval):
            return ""
        return f"{self.spell(interval.low)} to {self.spell(interval.high)}"


FIGURES = (
    Figure("Spend", "USD", lambda e: e.usd, usd),
    Figure("Waiting", "GPU-hours", lambda e: e.waiting_gpu_hours),
    Figure("Energy", "kWh", lambda e: e.kwh),
    Figure("Carbon", "kg CO₂e", lambda e: e.kg_co2),
)


@dataclass(frozen=True, slots=True)
class Deed:
    """One wish with its number, its verdict and what came of it."""

    number: int
    verdict: Verdict
    outcome: Outcome | None

    @property
    def action(self) -> Action:
        return self.verdict.action


def deeds(cycle: Cycle) -> list[Deed]:
    """All wishes in the order decided; each outcome is given to the first wish for that action."""
    left = list(cycle.outcomes)
    told: list[Deed] = []
    for nth, verdict in enumerate(cycle.verdicts, start=1):
        outcome = next((o for o in left if o.action == verdict.action), None) if verdict.approved else None
        if outcome is not None:
            left.remove(outcome)
        told.append(Deed(nth, verdict, outcome))
    return told


def effect_of(cycle: Cycle, approved: bool) -> Effect:
    """What all approved actions, or all held back, are expected to change together.

    Each was judged after those before it, so nothing is counted twice. The ends are all low, or all high, together.
    """
    return sum((v.action.expected for v in cycle.verdicts if v.approved is approved), Effect())


def rules(cycle: Cycle) -> list[tuple[str, int]]:
    """Guardrails that objected and how often, most often first."""
    return Counter(o.rule for v in cycle.verdicts for o in v.objections).most_common()


def what_happened(cycle: Cycle) -> str:
    """Whether a dial was turned, said plainly and from the outcomes, whatever the mode was called."""
    done = sum(o.status is OutcomeStatus.DONE for o in cycle.outcomes)
    unsure = sum(o.status is OutcomeStatus.FAILED for o in cycle.outcomes)
    sentences = [f"{count(done, 'change')} made."] if done else []
    if unsure:
        sentences.append(f"{count(unsure, 'answer')} missing: it is not known whether those dials were turned.")
    if not sentences:
        sentences = ["Nothing was changed.", _MODES.get(cycle.mode, "")]
    return " ".join(sentences).strip()


def headline(cycle: Cycle) -> str:
    """What would change and what it would bring, in one sentence."""
    approved = [v for v in cycle.verdicts if v.approved]
    held = len(cycle.verdicts) - len(approved)
    if not cycle.verdicts:
        return "Nothing needs to change"
    if not approved:
        return "The only wish was held back" if held == 1 else f"All {held} wishes were held back"
    effect = effect_of(cycle, approved=True)
    verb = "are expected to" if cycle.mode == "act" and len(approved) > 1 else _verb(cycle)
    suffix = f"; {held} {'was' if held == 1 else 'were'} held back" if held else ""
    return f"{count(len(approved), 'change')} {verb} {_gain(effect)}{suffix}"


def _verb(cycle: Cycle) -> str:
    return "is expected to" if cycle.mode == "act" else "would"


def _gain(effect: Effect) -> str:
    if not (known(effect.usd) or known(effect.waiting_gpu_hours)):
        return "be made, with an effect that is not known"
    money = f"about ${size(effect.usd.mid)}"
    hours = f"{count(abs(effect.waiting_gpu_hours.mid), 'GPU-hour')} of waiting"
    said = {
        (True, True): f"save {money} and {hours}",
        (True, None): f"save {money}",
        (True, False): f"save {money} and add {hours}",
        (None, True): f"spare {hours}",
        (None, None): "keep cost and waiting about as they are",
        (None, False): f"add {hours}",
        (False, True): f"spare {hours} for {money}",
        (False, None): f"cost {money}",
        (False, False): f"cost {money} and add {hours}",
    }[_better(effect.usd), _better(effect.waiting_gpu_hours)]
    return f"{said} over {over(effect)}"


def _better(change: Interval) -> bool | None:
    """None when too small, or too unsure, to put in a headline."""
    width = change.high - change.low
    if not known(change) or abs(change.mid) < max(0.5, 0.1 * width):
        return None
    return change.mid < 0


def over(effect: Effect) -> str:
    """24 h."""
    return f"{number(effect.over / timedelta(hours=1))} h"


def change(action: Action) -> str:
    """4 → 6 nodes."""
    if action.dial is Dial.WORKLOAD:
        return f"{_running(action.before)} → {_running(action.after)}"
    return f"{number(action.before)} → {number(action.after)} {action.dial.unit}"


def _running(value: int) -> str:
    return "running" if value else "paused"


def gpus_moved(action: Action) -> str:
    """+16 GPUs; empty where the change already says it."""
    if not action.gpus or (action.dial.unit == "GPUs" and action.gpus == action.delta):
        return ""
    return f"{signed(action.gpus)} GPU{'' if abs(action.gpus) == 1 else 's'}"


def loss(effect: Effect) -> str:
    """Work thrown away, if any."""
    if math.isnan(effect.lost_gpu_hours):
        return "work lost: not known"
    return f"{count(effect.lost_gpu_hours, 'GPU-hour')} of work lost" if effect.lost_gpu_hours else ""


def expectation(effect: Effect) -> str:
    """The expected effect in one line of plain text."""
    parts = [f"{f.middle(effect)} {_unit(f)}".strip() for f in FIGURES if f.range(effect)]
    parts += [loss(effect)] if loss(effect) else []
    return "no effect expected" if nothing_expected(effect) else ", ".join(parts) or "effect not known"


def _unit(figure: Figure) -> str:
    return {"USD": "", "GPU-hours": "GPU-hours of waiting"}.get(figure.unit, figure.unit)
