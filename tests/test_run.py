"""`gyropilot run` as an operator runs it: another process, beside a cluster, until it is told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gyropilot.clock import SystemClock
from gyropilot.demo import Demo, serve
from gyropilot.journal import Holder, Journal
from tests.command import gyropilot

NOBODY = "http://127.0.0.1:9"
SENTENCE = re.compile(r"\d+ wanted, \d+ held back.*|nothing wanted; holding still")


@pytest.fixture(scope="module")
def world() -> Iterator[Demo]:
    """The demo's cluster, seen at this very moment."""
    with serve(SystemClock().now()) as demo:
        yield demo


class Lines:
    """What a process says on stderr, as it says it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.said: list[str] = []
        self.more = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(process,))
        self.thread.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            with self.more:
                self.said.append(line.rstrip("\n"))
                self.more.notify_all()

    def address(self) -> str:
        """Where /metrics and /healthz are."""
        return "http://127.0.0.1:" + self.wait_for("metrics and health on").split("127.0.0.1:")[1].split(";")[0]

    def wait_for(self, pattern: str, times: int = 1, seconds: float = 120) -> str:
        """The line in which the pattern is found for the n-th time."""
        with self.more:
            self.more.wait_for(lambda: len(self._found(pattern)) >= times, seconds)
            found = self._found(pattern)
        assert len(found) >= times, "\n".join(self.said)
        return found[times - 1]

    def _found(self, pattern: str) -> list[str]:
        return [line for line in self.said if re.search(pattern, line)]


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@contextmanager
def running(
    world: Demo, folder: Path, prometheus: str = "", **environment: str
) -> Iterator[tuple[subprocess.Popen[str], Lines]]:
    """The daemon with a cycle each second; killed at the end if it still runs."""
    where = ["--prometheus", prometheus or world.prometheus_url, "--kubeconfig", str(world.kubeconfig)]
    pace = {
        "GYROPILOT_DAEMON__INTERVAL": "1s",
        "GYROPILOT_DAEMON__PORT": "0",
        "GYROPILOT_DAEMON__LISTEN": "127.0.0.1",
        "GYROPILOT_FORECAST__MODEL": "naive",  # fits at once
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gyropilot", "run", "--format", "json", *where],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "HOME": str(folder), **pace, **environment},
    )
    lines = Lines(process)
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        lines.thread.join()
        assert process.stderr is not None
        process.stderr.close()


def test_it_cycles_tells_about_itself_and_stops_when_told(world: Demo, tmp_path: Path) -> None:
    with running(world, tmp_path) as (process, lines):
        base = lines.address()
        lines.wait_for(SENTENCE.pattern, times=2)
        health, metrics = page(f"{base}/healthz"), page(f"{base}/metrics")
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)

    listed = gyropilot("history", "--format", "json", folder=tmp_path)

    assert code == 0
    assert json.loads(lines.said[-1])["message"] == "stopped"
    assert json.loads(health)["ok"] is True
    assert re.search(r'gyropilot_cycles_total\{result="done"\} [1-9]', metrics)
    assert 'gyropilot_forecast_gpus{horizon="1h",quantile="0.5",queue="research"' in metrics
    entries = json.loads(listed.stdout)
    assert len(entries) >= 2
    assert {entry["mode"] for entry in entries} == {"rehearse"}


def test_it_holds_still_and_says_so_while_prometheus_is_away(world: Demo, tmp_path: Path) -> None:
    with running(world, tmp_path, NOBODY, GYROPILOT_PROMETHEUS__RETRIES="1") as (process, lines):
        base = lines.address()
        said = json.loads(lines.wait_for("next try in about 2 s"))
        metrics = page(f"{base}/metrics")
        process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert code == 0
    assert said["level"] == "warning"
    assert said["message"].startswith(f"holding still: Prometheus at {NOBODY}")
    assert [line for line in lines.said if "Retrying" in line] == []
    assert re.search(r'gyropilot_cycles_total\{result="unreachable"\} [2-9]', metrics)


def test_a_taken_port_is_a_matter_of_settings(world: Demo, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with running(world, tmp_path, GYROPILOT_DAEMON__PORT=port) as (process, lines):
            code = process.wait(60)
            said = lines.wait_for("cannot be opened")

    assert code == 2
    assert f"port {port} on 127.0.0.1 cannot be opened" in said


def test_one_journal_takes_one_writer_at_a_time(world: Demo, tmp_path: Path) -> None:
    where = ("--prometheus", world.prometheus_url, "--kubeconfig", str(world.kubeconfig))
    with running(world, tmp_path) as (first, lines):
        lines.wait_for(SENTENCE.pattern)
        with running(world, tmp_path) as (second, more):
            held = json.loads(more.wait_for("holding still"))["message"]
            second.send_signal(signal.SIGTERM)
            second.wait(60)
        refused = gyropilot("once", *where, folder=tmp_path)
        read = gyropilot("plan", *where, folder=tmp_path, GYROPILOT_FORECAST__MODEL="naive")
        listed = gyropilot("history", folder=tmp_path)
        first.kill()
        first.wait(60)
    followed = gyropilot("once", *where, folder=tmp_path, GYROPILOT_FORECAST__MODEL="naive")

    assert re.search(rf"another gyropilot \(\S+:{first.pid}\) writes this journal until \d\d:\d\d UTC; stop it", held)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f":{first.pid}) writes this journal until" in refused.stderr
    assert (read.returncode, listed.returncode) == (0, 0)
    assert followed.returncode == 0, followed.stderr


def test_a_writer_that_stops_lets_the_next_one_in(world: Demo, tmp_path: Path) -> None:
    with running(world, tmp_path) as (process, lines):
        lines.wait_for(SENTENCE.pattern)
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    with Journal(f"sqlite:///{tmp_path}/gyropilot.db") as journal:
        elsewhere = replace(Holder.here(), host="elsewhere")
        journal.hold(elsewhere, SystemClock().now, timedelta(minutes=2))
        assert journal.latest() is not None


def test_ticks_that_fall_into_a_long_cycle_are_not_worth_a_line(world: Demo, tmp_path: Path) -> None:
    slow = {"GYROPILOT_FORECAST__MODEL": "ets"}
    with running(world, tmp_path, **slow) as (process, lines):
        lines.wait_for(SENTENCE.pattern)
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    told = [json.loads(line)["message"] for line in lines.said]
    assert [sentence for sentence in told if "maximum number of running instances" in sentence] == []
