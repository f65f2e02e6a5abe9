"""The command line. Its exit codes stand in gyropilot.errors and, for users, in the epilog and in docs/commands.md."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gyropilot import __version__, configuration
from gyropilot.backtest_cli import backtest
from gyropilot.clock import SystemClock
from gyropilot.errors import INTERRUPTED, GyropilotError, SettingsError
from gyropilot.forecast_cli import forecast
from gyropilot.settings import Settings
from gyropilot.simulate_cli import scenario_app, simulate
from gyropilot.terminal import (
    ConfigOption,
    Format,
    FormatOption,
    KubeconfigOption,
    OutOption,
    PlainFormat,
    PlainFormatOption,
    PrometheusOption,
    load_settings,
    progress,
    reply,
    say,
)
from gyropilot.traces_cli import traces_app
from gyropilot.train_cli import train
from gyropilot.tune_cli import tune

if TYPE_CHECKING:
    from gyropilot.domain import Cycle
    from gyropilot.journal import Journal

app = typer.Typer(
    name="gyropilot",
    help=(
        "An autopilot for shared GPU clusters on Kubernetes. It forecasts each queue's GPU demand, decides what to "
        "scale, rebalance and preempt, holds itself back with guardrails, and only recommends unless told to act.\n\n"
        "Begin with `gyropilot demo`, then `gyropilot check --prometheus URL` and `gyropilot plan --prometheus URL` "
        "against your own cluster: both only read."
    ),
    epilog=(
        "Exit codes: 0 done, 2 bad settings or usage, 3 observation refused, 4 cluster or Prometheus unreachable, "
        "130 interrupted, 1 anything else."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
config_app = typer.Typer(help="Show, explain or sample the settings.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(scenario_app, name="scenario")
app.add_typer(traces_app, name="traces")


ActOption = Annotated[
    bool, typer.Option("--act", help="Turn the dials. Without it, changes are only rehearsed.", metavar="")
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, metavar="")
    ] = False,
) -> None:
    if version:
        typer.echo(f"gyropilot {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for report.html and plan.json.")] = Path(
        "demo-report"
    ),
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Another seed is another fortnight.")] = None,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Plan for a small simulated cluster: 4 queues, 3 pools, 14 days of history. Needs nothing outside.

    The cluster is served to the same readers that `plan` uses, so what you see is the real code path.
    """
    from gyropilot.demo import DEMO_NOW, DEMO_SEED, serve
    from gyropilot.report import render
    from gyropilot.report.picture import total_picture
    from gyropilot.wiring import planner

    with progress() as told:
        told("growing a cluster")
        with serve(DEMO_NOW, DEMO_SEED if seed is None else seed) as world:
            cycle = planner(world.settings, told).plan(world.now)
        told("drawing the report")
        page, answer, picture = render(cycle, "html"), render(cycle, "json"), total_picture(cycle)
    reply(answer if format is PlainFormat.JSON else render(cycle, "text"), None)
    reply(page, out / "report.html")
    reply(answer, out / "plan.json")
    reply(picture, out / "demand.svg")


@app.command()
def plan(
    config: ConfigOption = None,
    prometheus: PrometheusOption = None,
    kubeconfig: KubeconfigOption = None,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    out: OutOption = None,
) -> None:
    """Recommend: what would be scaled, rebalanced and preempted now, why, and what it would save. Never writes.

    Reads Prometheus and the Kubernetes API; changes are only rehearsed (`dryRun=All`) to show what the API server says.
    """
    from gyropilot.report import render
    from gyropilot.wiring import planner

    settings = load_settings(config, prometheus, kubeconfig, out)
    with progress() as told:
        cycle = planner(settings, told).plan(SystemClock().now())
    reply(render(cycle, format.value), out)


@app.command()
def once(
    config: ConfigOption = None,
    prometheus: PrometheusOption = None,
    kubeconfig: KubeconfigOption = None,
    act: ActOption = False,
    format: FormatOption = Format.TEXT,  # noqa: A002 - the option's name
    out: OutOption = None,
) -> None:
    """Run one cycle and write it into the journal. Rehearses unless told to --act."""
    from gyropilot.report import render
    from gyropilot.wiring import writer

    settings, clock = load_settings(config, prometheus, kubeconfig, out), SystemClock()
    with progress() as told, writer(settings, "act" if act else "rehearse", clock, told) as made:
        cycle = made.step(clock.now())
    reply(render(cycle, format.value), out)


@app.command()
def run(
    config: ConfigOption = None,
    prometheus: PrometheusOption = None,
    kubeconfig: KubeconfigOption = None,
    act: ActOption = False,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Run as a daemon: a cycle each minute, a fit each night, /metrics and /healthz. Rehearses unless told to --act."""
    from gyropilot.daemon import run as run_daemon
    from gyropilot.wiring import daemon

    _log(format)
    stop = _stop_signal()
    settings = load_settings(config, prometheus, kubeconfig)
    with daemon(settings, "act" if act else "rehearse", SystemClock()) as made:
        try:
            run_daemon(made, lambda: _wait(stop))
        except OSError as problem:
            raise SettingsError(
                f"port {settings.daemon.port} on {settings.daemon.listen} cannot be opened ({problem.strerror}); "
                "set daemon.port or GYROPILOT_DAEMON__PORT (0 takes a free one)"
            ) from problem


@app.command()
def report(
    config: ConfigOption = None,
    cycle_id: Annotated[int | None, typer.Option("--cycle", help="Number of the cycle \\[default: the latest]")] = None,
    format: FormatOption = Format.HTML,  # noqa: A002 - the option's name
    out: OutOption = None,
) -> None:
    """Make the report of a journalled cycle, by default the latest."""
    from gyropilot.report import render

    journal = _journal(load_settings(config, out=out))
    reply(render(_journalled(journal, cycle_id), format.value), out)


@app.command()
def history(
    config: ConfigOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many cycles.")] = 20,
    since: Annotated[
        float | None, typer.Option("--since-hours", min=0, max=87600, help="Only cycles of the last so many hours.")
    ] = None,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """List the cycles in the journal, newest first: when, in which mode, and the sentence of each."""
    journal = _journal(load_settings(config))
    begin = SystemClock().now() - timedelta(hours=since) if since is not None else None
    entries = journal.history(limit, begin)
    if not entries:
        say(
            "no cycle is in the journal" if since is None else f"no cycle is in the journal of the last {since:g} hours"
        )
    rows = [{"id": e.id, "began_at": e.began_at.isoformat(), "mode": e.mode, "sentence": e.sentence} for e in entries]
    if format is PlainFormat.JSON:
        reply(json.dumps(rows, indent=2), None)
    elif rows:
        lines = [f"{r['id']:>6}  {str(r['began_at'])[:19]}Z  {r['mode']:<9}  {r['sentence']}" for r in rows]
        reply("\n".join(lines), None)


@app.command()
def check(
    config: ConfigOption = None,
    prometheus: PrometheusOption = None,
    kubeconfig: KubeconfigOption = None,
    format: PlainFormatOption = PlainFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Preflight: each metric, kind and permission that is needed, found or missing, with the fix. Only reads."""
    from gyropilot.preflight import findings, to_text

    with progress() as told:
        told("looking")
        found = findings(load_settings(config, prometheus, kubeconfig), SystemClock().now())
    reply(json.dumps([f.to_dict() for f in found], indent=2) if format is PlainFormat.JSON else to_text(found), None)
    missing = [f for f in found if f.required and not f.found]
    if missing:
        raise typer.Exit(max(f.exit_code for f in missing))


app.command()(forecast)
app.command()(backtest)
app.command()(simulate)
app.command()(tune)
app.command()(train)


@config_app.command("show")
def config_show(config: ConfigOption = None, format: PlainFormatOption = PlainFormat.TEXT) -> None:  # noqa: A002
    """Print the settings in force, from file and environment; secrets are masked."""
    settings = load_settings(config)
    reply(settings.model_dump_json(indent=2) if format is PlainFormat.JSON else configuration.show(settings), None)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of the settings file, for editors."""
    reply(json.dumps(configuration.schema(), indent=2), None)


@config_app.command("sample")
def config_sample() -> None:
    """Print a settings file with every default and its reason, commented out."""
    reply(configuration.sample(), None)


@config_app.command("docs")
def config_docs() -> None:
    """Print the settings as the Markdown page docs/settings.md."""
    reply(configuration.table(), None)


def main() -> None:
    """Errors raised on purpose become one sentence on stderr and an exit code. Raises KeyboardInterrupt."""
    try:
        app()
    except GyropilotError as problem:
        say(f"gyropilot: {problem}")
        sys.exit(problem.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer answers an interruption with silence
            raise KeyboardInterrupt from ended
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _journal(settings: Settings) -> Journal:
    from gyropilot.journal import Journal
    from gyropilot.wiring import remembered

    journal = remembered(settings)
    if not isinstance(journal, Journal):
        raise SettingsError(
            f"no journal at {settings.journal.url}; `gyropilot once` or `run` writes one, journal.url says where"
        )
    return journal


def _journalled(journal: Journal, cycle_id: int | None) -> Cycle:
    latest = journal.latest() if cycle_id is None else cycle_id
    if latest is None:
        raise SettingsError("the journal is empty; `gyropilot once` or `run` writes cycles into it")
    return journal.cycle(latest)


def _log(format: PlainFormat) -> None:  # noqa: A002 - the option's name
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if format is PlainFormat.JSON else _TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It warns of each tick that falls into a long cycle; that cycle is told by /healthz and by its own sentence.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # It warns of each try that failed; what came of the last one is the cycle's sentence.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class _TextLines(logging.Formatter):
    """`2026-03-02T12:00:00Z INFO 3 wanted, 1 held back, 2 done`."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%SZ"
    default_msec_format = None

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")


class _JsonLines(_TextLines):
    """The same as one object a line, with the traceback of what was not expected."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _stop_signal() -> threading.Event:
    """Set by SIGTERM and SIGINT. A second one ends the process at once: the journal is made for that."""
    stop = threading.Event()

    def told(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, told)
    return stop


def _wait(stop: threading.Event) -> None:
    stop.wait()
    logging.getLogger("gyropilot").info("stopping once the cycle under way has ended; a second signal stops at once")
