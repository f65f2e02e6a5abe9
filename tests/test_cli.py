"""The command line's own part: how answers, errors and log lines are put."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gyropilot import cli, terminal
from gyropilot.clock import SystemClock
from gyropilot.domain import Cycle, Intent
from gyropilot.errors import ObservationError, SettingsError
from gyropilot.journal import Journal
from tests.fakes import forecast, state

PATIENT = """
import logging, time
from gyropilot.cli import PlainFormat, _log, _stop_signal, _wait
_log(PlainFormat.TEXT)
stop = _stop_signal()
logging.info("ready")
_wait(stop)
{after}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line(logged: logging.Formatter, *exc_info: object) -> str:
    given = sys.exc_info() if exc_info else None
    record = logging.LogRecord("gyropilot", logging.INFO, "daemon.py", 1, "3 wanted", (), given)
    record.created = datetime(2026, 3, 2, 12, 0, 7, tzinfo=UTC).timestamp()
    return logged.format(record)


def test_a_log_line_tells_the_time_in_utc() -> None:
    assert line(cli._TextLines()) == "2026-03-02T12:00:07Z INFO 3 wanted"
    assert json.loads(line(cli._JsonLines())) == {
        "time": "2026-03-02T12:00:07Z",
        "level": "info",
        "message": "3 wanted",
    }


def test_a_traceback_is_not_lost_in_json_lines() -> None:
    try:
        raise ZeroDivisionError("surprise")
    except ZeroDivisionError:
        told = json.loads(line(cli._JsonLines(), "now"))

    assert told["traceback"].endswith("ZeroDivisionError: surprise")


@pytest.mark.parametrize(("signals", "code"), [(1, 0), (2, 128 + signal.SIGTERM)])
def test_the_first_signal_asks_to_stop_and_the_second_one_stops(signals: int, code: int) -> None:
    # As a cycle under way: short waits, for a signal just before one long system call would wait as long as that.
    after = "for _ in range(3000): time.sleep(0.01)" if signals > 1 else ""
    command = [sys.executable, "-c", PATIENT.format(after=after)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for expected in ("ready", "stopping once the cycle under way has ended")[:signals]:
            assert expected in process.stderr.readline()
            process.send_signal(signal.SIGTERM)

        assert process.wait(30) == code


def test_an_error_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise ObservationError("queue \x1b[2J is not seen")

    monkeypatch.setattr(cli, "app", refuse)

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 3
    assert capsys.readouterr().err == "gyropilot: queue \N{REPLACEMENT CHARACTER}[2J is not seen\n"


def test_a_report_is_written_in_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    terminal.reply("−$1,240", tmp_path / "new folder" / "report.txt")

    assert (tmp_path / "new folder" / "report.txt").read_bytes() == "−$1,240\n".encode()


def test_a_place_that_cannot_be_written_is_a_matter_of_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="give another --out"):
        terminal.reply("text", tmp_path / "file" / "report.txt")


@pytest.mark.parametrize("command", ["plan", "once", "report", "forecast", "backtest"])
def test_a_folder_is_no_file_to_answer_in(tmp_path: Path, command: str) -> None:
    with pytest.raises(SettingsError, match=f"^--out {tmp_path} is a folder; give a file, such as {tmp_path}/report"):
        CliRunner().invoke(cli.app, [command, "--out", str(tmp_path)], catch_exceptions=False)


def test_history_says_when_there_is_nothing_to_list() -> None:
    with Journal("sqlite:///gyropilot.db") as journal:
        journal.intend(Cycle(SystemClock().now() - timedelta(days=2), state(), forecast({}), Intent("hold"), ()))

    listed = CliRunner().invoke(cli.app, ["history"])
    lately = CliRunner().invoke(cli.app, ["history", "--since-hours", "1"])

    assert "nothing wanted; holding still" in listed.stdout
    assert (lately.stdout, lately.stderr) == ("", "no cycle is in the journal of the last 1 hours\n")


@pytest.mark.parametrize("arguments", [("demo", "--seed", "-1"), ("history", "--since-hours", "1e9")])
def test_numbers_out_of_range_are_a_matter_of_usage(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(cli.app, list(arguments)).exit_code == 2


def test_the_shell_completes_commands_and_choices() -> None:
    def completed(words: str, nth: int) -> list[str]:
        asked = {"_GYROPILOT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(nth)}
        done = CliRunner().invoke(cli.app, prog_name="gyropilot", env=asked)
        return done.stdout.split()

    assert completed("gyropilot hi", 1) == ["history"]
    assert completed("gyropilot plan --format ", 3) == ["text", "json", "html"]


@pytest.mark.parametrize("command", ["once", "run"])
def test_a_switch_does_not_ask_for_a_value(command: str) -> None:
    shown = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "120", "TERM": "dumb"}).stdout

    (line,) = (line for line in shown.splitlines() if "--act " in line and "Turn the dials" in line)
    assert "<bool>" not in line


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("plan", "$GYROPILOT_CONFIG, ./gyropilot.yaml"),
        ("plan", "$KUBECONFIG, ~/.kube/config, in-cluster"),
        ("report", "the latest"),
        ("tune", "all but the last 7"),
        ("train", "all"),
    ],
)
def test_help_tells_defaults_that_are_not_one_value(command: str, default: str) -> None:
    told = CliRunner().invoke(cli.app, [command, "--help"]).stdout

    assert f"[default: {default}]" in " ".join(told.replace("│", " ").split())
