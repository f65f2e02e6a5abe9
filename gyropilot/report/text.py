"""A cycle as text for a terminal: tables, sparklines, verdicts, and the summary as the last line."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gyropilot.domain import Cycle, Dial, Effect, Floats, Line
from gyropilot.report import fans, story, sure
from gyropilot.report.names import named
from gyropilot.report.words import duration, moment, number, percent, visible

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARKS = 16


def to_text(cycle: Cycle, width: int = 100) -> str:
    """The report in plain characters, without a single escape code."""
    paper = StringIO()
    show(cycle, Console(file=paper, width=width, force_terminal=False, color_system=None, _environ={}))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def show(cycle: Cycle, console: Console) -> None:
    """The report on a console, in colour where that console has any."""
    _head(cycle, console)
    _print(console, "")
    _tables(cycle, console)
    _actions(cycle, console)
    _listed(console, "How sure the forecast is", sure.sentences(cycle.forecast))
    _listed(console, "Defaults used, and what was not seen", cycle.state.notes)
    _print(console, cycle.sentence, "bold")


def _print(console: Console, words: str, style: str = "") -> None:
    console.print(_cell(words, style))


def _cell(words: str, style: str = "") -> Text:
    """As text, never as markup: a queue may be called [red] or hold an escape code."""
    return Text(visible(words), style)


def _head(cycle: Cycle, console: Console) -> None:
    _print(console, f"Gyropilot · {cycle.mode} · {moment(cycle.began_at)}", "dim")
    _print(console, story.headline(cycle), "bold")
    _print(console, story.what_happened(cycle))
    for approved, words in ((True, "approved"), (False, "held back")):
        if any(v.approved is approved for v in cycle.verdicts):
            effect = story.effect_of(cycle, approved)
            _print(console, f"Expected over {story.over(effect)}, {words}: {_expected(effect)}")


def _expected(effect: Effect) -> str:
    shown = [f for f in story.FIGURES if f.range(effect)]
    parts = [f"{f.name.lower()} {f.middle(effect)} ({f.range(effect)}) {f.unit}" for f in shown]
    return "; ".join([*parts, *filter(None, [story.loss(effect)])]) or story.expectation(effect)


def _tables(cycle: Cycle, console: Console) -> None:
    lines = fans.queue_lines(cycle)
    if lines:
        console.print(_queues(cycle, lines))
    else:
        _print(console, "No queue was seen.")
    if cycle.state.pools:
        console.print(_pools(cycle))
    else:
        _print(console, "No pool of GPUs was seen.")


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold", min_width=8)
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _queues(cycle: Cycle, lines: list[Line]) -> Table:
    several = len({line.resource for line in lines}) > 1
    headings = ("running", "waiting", "quota", "oldest wait", "busy", f"median, next {fans.ahead(cycle.forecast)}")
    table = _table("Queues, in GPUs", "queue", *headings)
    table.columns[-1].justify = "left"
    by_name = {q.name: q for q in cycle.state.queues}
    for line in lines:
        queue = by_name.get(line.queue)
        cells = [
            str(line) if several else line.queue,
            number(queue.running_gpus.get(line.resource) if queue else None),
            number(queue.pending_gpus.get(line.resource) if queue else None),
            _quota(cycle, line),
            duration(queue.oldest_wait if queue else None),
            percent(queue.utilisation if queue else None),
            _outlook(cycle, line),
        ]
        table.add_row(*(_cell(c) for c in cells))
    return table


def _quota(cycle: Cycle, line: Line) -> str:
    levels = dict.fromkeys(number(gpus) for _, gpus in fans.limit_of(cycle, line))
    return " → ".join(levels) or number(None)


def _outlook(cycle: Cycle, line: Line) -> str:
    """▂▃▅▇ 12–38: the median over equal steps of time, and the range that it spans."""
    forecast = cycle.forecast
    if line not in forecast.lines or not forecast.horizons:
        return number(None)
    median = fans.at_quantile(forecast.of(line), forecast.quantiles, 0.5)
    ahead = [h.total_seconds() for h in forecast.horizons]
    even = np.interp(np.linspace(ahead[0], ahead[-1], _SPARKS), ahead, median)
    if not np.isfinite(even).all():
        return number(None)
    return f"{sparkline(even)} {number(float(even.min()))}–{number(float(even.max()))}"


def sparkline(values: Floats) -> str:
    """One block per value, from its lowest to its highest; flat in the middle where nothing moves."""
    low, high = float(values.min()), float(values.max())
    if high - low < 0.5:
        return _BLOCKS[3] * len(values)
    return "".join(_BLOCKS[round((float(v) - low) / (high - low) * (len(_BLOCKS) - 1))] for v in values)


def _pools(cycle: Cycle) -> Table:
    table = _table("Pools, in GPUs", "pool", "market", "ready", "idle", "coming", "max", "USD/GPU-h", "after")
    for pool in cycle.state.pools:
        planned = pool.gpus + pool.coming_gpus
        after = planned + fans.approved_gpus(cycle, pool.dial_target)
        cells = [
            pool.name,
            pool.market.value,
            number(pool.gpus),
            number(pool.idle_gpus),
            number(pool.coming_gpus),
            number(None if pool.max_nodes is None else pool.max_nodes * pool.gpus_per_node),
            f"{pool.price_usd_per_gpu_hour:.2f}" if pool.price_usd_per_gpu_hour else number(None),
            number(after) if after == planned else f"{number(planned)} → {number(after)}",
        ]
        table.add_row(*(_cell(c) for c in cells))
    return table


def _actions(cycle: Cycle, console: Console) -> None:
    if not cycle.verdicts:
        return
    table = Table(title="Actions", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right")
    for name, ratio in (("what", 3), ("verdict", 0), ("why, and what came of it", 5)):
        table.add_column(name, ratio=ratio or None, overflow="fold")
    full = named(cycle)
    for deed in story.deeds(cycle):
        style = "green" if deed.verdict.approved else "yellow"
        moved = "" if deed.action.dial is Dial.WORKLOAD else story.gpus_moved(deed.action)
        what = "\n".join(filter(None, [str(full(deed.action)), moved]))
        table.add_row(_cell(str(deed.number)), _cell(what), _cell(str(deed.verdict), style), _why(deed))
    console.print(table)


def _why(deed: story.Deed) -> Text:
    told = [_cell(deed.action.reason), _cell(story.expectation(deed.action.expected), "dim")]
    told += [_cell(f"✗ {o.rule}: {o.sentence}", "yellow") for o in deed.verdict.objections]
    if deed.outcome:
        told.append(_cell(f"{deed.outcome.status}: {deed.outcome.sentence}"))
        told += [_cell(f"  {line}", "cyan") for line in deed.outcome.diff.splitlines()]
    return Text("\n").join(told)


def _listed(console: Console, title: str, sentences: Sequence[str]) -> None:
    if not sentences:
        return
    _print(console, title, "bold")
    for sentence in sentences:
        _print(console, f"· {sentence}")
    _print(console, "")
