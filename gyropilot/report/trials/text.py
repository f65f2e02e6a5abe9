"""Trials as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envs.tally import Waits
from envs.trial import Trial
from gyropilot.report.services import text as services
from gyropilot.report.simulation.words import hours, in_time, least_told, waits_told
from gyropilot.report.tables import WIDTH, folded
from gyropilot.report.trials import losses
from gyropilot.report.trials.faults import events
from gyropilot.report.trials.result import Trials
from gyropilot.report.trials.words import bound_sentence, headline, met, window
from gyropilot.report.words import TOTAL, UNKNOWN, percent_apart, percent_span, visible

SERVICE = (
    "GPU-hours", "used", "in use", "preempted", "lost GPU-h", "kWh", "kg CO2",
    "turns/day", "reversed/day",
)  # fmt: skip


def to_text(found: Trials, width: int | None = None) -> str:
    """A line per pilot for what it costs, one for what that bought, and one per queue for its waits.

    Without a width, which is a terminal's, sentences are a line each, however long.
    """
    paper = StringIO()
    console = Console(file=paper, width=width or WIDTH, force_terminal=False, color_system=None, _environ={})
    console.print(Text(visible(f"Simulation · {found.world}\n")), soft_wrap=width is None)
    deadlines = [_deadlines(found)] if found.trials[0].waits[0].due else []
    for table in (_costs(found), _service(found), *_losses(found), *_services(found), _waits(found), *deadlines):
        for part in folded(table, console.width):
            console.print(part)
    least = least_told(trial.waits[0] for trial in found.trials)
    for note in (*found.notes, *filter(None, [least]), *(event.sentence for event in events(found))):
        console.print(Text(visible(f"· {note}")), soft_wrap=width is None)
    for sentence in filter(None, (f"\n{met(found)}", window(found), bound_sentence(found), visible(headline(found)))):
        console.print(Text(sentence), soft_wrap=width is None)
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def _costs(found: Trials) -> Table:
    over = ["over bound"] if found.bound is not None else []
    apart = [f"to {found.trials[0].pilot}", "90 % interval"] if len(found.trials) > 1 else []
    table = _table("pilot", "USD", *over, *apart, *found.kinds)
    for each in found.yardsticks:
        kinds = (f"{each.by_kind[kind]:,.0f}" for kind in found.kinds)
        table.add_row(f"({each.name})", f"{each.usd:,.0f}", _over(each.over_bound), *("" for _ in apart), *kinds)
    for trial in found.trials:
        table.add_row(*map(_cell, (trial.pilot, *_cost(found, trial))))
    return table


def _cost(found: Trials, trial: Trial) -> Iterator[str]:
    apart, first = found.over_first(trial), trial is found.trials[0]
    yield f"{trial.total_usd:,.0f}"
    if found.bound is not None:
        yield _over(found.over_bound(trial))
    if len(found.trials) > 1:
        yield "" if first else percent_apart(apart.mid)
        yield "" if first else percent_span(apart.low, apart.high)
    yield from (f"{trial.by_kind[kind]:,.0f}" for kind in found.kinds)


def _over(percent_: float | None) -> str:
    """Empty where there is nothing to be over."""
    return "" if percent_ is None else percent_apart(percent_)


def _service(found: Trials) -> Table:
    table = _table("pilot", *service_names(found))
    for trial in found.trials:
        table.add_row(*map(_cell, (trial.pilot, *service(found, trial))))
    return table


def service_names(found: Trials) -> tuple[str, ...]:
    """What is told of what was had for the money."""
    left = ("left waiting",) if any(trial.waits[0].left_waiting for trial in found.trials) else ()
    return ("wait p50", "wait p95", "never started", *left, *SERVICE)


def service(found: Trials, trial: Trial) -> tuple[str, ...]:
    """What was had for the money, as `service_names` calls it."""
    everybody, use = trial.waits[0], found.use(trial)
    left = (f"{everybody.left_waiting:,}",) if "left waiting" in service_names(found) else ()
    return (
        *waits_told(everybody),
        f"{everybody.never_started:,}",
        *left,
        hours(use.provisioned_gpu_hours),
        hours(use.used_gpu_hours),
        f"{100 * use.share:.0f} %",
        f"{int(trial.stops.sum()):,}",
        f"{trial.flows.lost.sum():,.1f}",
        *(UNKNOWN if figure is None else f"{figure:,.0f}" for figure in (trial.kwh, trial.kg_co2)),
        *(f"{turns:.1f}" for turns in found.turns_per_day(trial)),
    )


def _losses(found: Trials) -> Iterator[Table]:
    """Where nodes were lost, and causes are told apart."""
    lost = list(losses.rows(found))
    if lost:
        table = _table("pilot", *losses.NAMES)
        for row in lost:
            table.add_row(*map(_cell, row))
        yield table


def _services(found: Trials) -> Iterator[Table]:
    """One each, a row per pilot."""
    for nth, each in enumerate(found.services[0] if found.services else ()):
        rows = [(trial.pilot, mine[nth]) for trial, mine in zip(found.trials, found.services, strict=True)]
        yield services.table(rows, each.service.name)


def _waits(found: Trials) -> Table:
    """The longest first."""
    table = _table("wait p50 / p95", "jobs", *(trial.pilot for trial in found.trials))
    by_queue = list(zip(*(trial.waits[1:] for trial in found.trials), strict=True))
    for waits in sorted(by_queue, key=lambda mine: -max(w.p95_s for w in mine)):
        table.add_row(*map(_cell, (waits[0].queue or "", f"{waits[0].jobs:,}", *map(_both, waits))))
    return table


def _deadlines(found: Trials) -> Table:
    """Of all queues, then of each in which anything was due."""
    table = _table("ended in time", "due", *(trial.pilot for trial in found.trials))
    for waits in zip(*(trial.waits for trial in found.trials), strict=True):
        if waits[0].due:
            table.add_row(*map(_cell, (waits[0].queue or TOTAL, f"{waits[0].due:,}", *map(in_time, waits))))
    return table


def _both(waits: Waits) -> str:
    """12 min / ≥ 3.4 h."""
    return " / ".join(waits_told(waits)) if waits.started else "never"


def _cell(words: str) -> Text:
    return Text(visible(words))


def _table(first: str, *names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold", max_width=60)
    for name in names:
        table.add_column(Text(visible(name)), justify="right", no_wrap=True)
    return table
