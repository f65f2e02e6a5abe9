"""What a trained network is worth, for a terminal."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.pilots.network import Card, Figure
from envs.words import counted
from gyropilot.report.words import less_or_more, percent_apart, percent_span, tenths, visible, within

WIDTH = 120


def to_text(card: Card, folder: str) -> str:
    """A line per seed, and what that means in sentences."""
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=False, color_system=None, _environ={})
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("seed", no_wrap=True)
    for name in ("steps", "picked at", "validation days", "held-out days", "90 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for found in card.seeds:
        name = f"{found.seed}, chosen" if found.seed == card.chosen_seed else str(found.seed)
        told = (f"{found.steps:,}", f"{found.picked_at:,}", percent_apart(found.validation_percent))
        table.add_row(name, *told, *_figure(found.held_out))
        for nth, each in enumerate(found.by_cluster, start=1):
            table.add_row(f"  cluster {nth}", "", "", "", *_figure(each))
    table.add_row("all", "", "", "", *_figure(card.pooled))
    console.print(Text(f"Training · {card.base.name}'s wishes corrected, {', '.join(card.data.pools)}\n"))
    console.print(table)
    for sentence in _sentences(card, folder):
        console.print(Text(visible(sentence)))
    return "\n".join(line.rstrip() for line in paper.getvalue().splitlines()) + "\n"


def _figure(figure: Figure) -> tuple[str, str]:
    """The interval is empty where there are too few days to tell."""
    return percent_apart(figure.mid), percent_span(figure.low, figure.high)


def verdict(card: Card) -> str:
    """Whether the network that was chosen is worth running, in one sentence."""
    chosen = next(found for found in card.seeds if found.seed == card.chosen_seed)
    days = f"{card.data.held_out_days:g} held-out days"
    if not chosen.picked_at:
        return f"No seed was better than {card.base.name} on the validation days: the network changes nothing."
    if chosen.held_out.mid is None:
        return f"{card.base.name} paid nothing on {days}: what the network is worth cannot be told."
    interval = within(chosen.held_out.low, chosen.held_out.high)
    alike = tenths(chosen.held_out.mid) == "0.0"
    next_to = "as much as" if alike else f"{less_or_more(chosen.held_out.mid)} than"
    here = f"{next_to} {card.base.name} on {days}{interval}"
    if chosen.held_out.mid >= 0:
        return f"The network does not pay: it costs {here}; run {card.base.name} instead."
    sure = chosen.held_out.high is not None and chosen.held_out.high < 0
    return f"The network costs {here}" + ("." if sure else "; that is not sure.")


def _sentences(card: Card, folder: str) -> list[str]:
    data = card.data
    seen = "" if data.forecaster == "naive" else f" --forecaster {data.forecaster}"
    of = f" of {data.clusters} clusters" if data.clusters > 1 else ""
    wrong = ", on which things went wrong" if any(data.surprises.values()) else ""
    return [
        f"{counted(data.jobs, 'job')}{of}: {data.train_days:.1f} days to learn from{wrong}, "
        f"{data.validation_days:g} to choose by, {data.held_out_days:g} held out; percent of what "
        f"{card.base.name} pays on the same days, negative is saved.",
        verdict(card),
        f"`simulate --pilot {card.base.name},learned@{folder}{seen}` runs it; so does pilot.name: learned with "
        f"pilot.network: {folder} and forecast.model: {data.forecaster}",
    ]
