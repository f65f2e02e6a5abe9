"""A real Prometheus on loopback, holding what a test says it has seen."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest
import yaml

_READY_WITHIN_S = 60.0


class Series(NamedTuple):
    """One series of samples to back-fill; a value of NaN is stored as NaN."""

    metric: str
    labels: Mapping[str, str]
    times_s: Iterable[int]  # since the epoch, ascending
    values: Iterable[float]


def openmetrics(series: Iterable[Series]) -> Iterator[str]:
    """The lines of an OpenMetrics file, as promtool back-fills it."""
    for one in series:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in one.labels.items())
        prefix = f"{one.metric}{{{labels}}} "
        yield from (f"{prefix}{value:g} {second}\n" for second, value in zip(one.times_s, one.values, strict=True))
    yield "# EOF\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class PrometheusServer:
    """Debian's prometheus as a context manager: back-fills `lines` of OpenMetrics, starts, and stops.

    `scrape` are entries of scrape_configs, `web` is the content of --web.config.file (TLS, basic auth; then `login`
    is a name and password that it takes).
    """

    def __init__(
        self,
        folder: Path,
        lines: Iterable[str] = (),
        scrape: Sequence[Mapping[str, Any]] = (),
        web: Mapping[str, Any] | None = None,
        scrape_interval: str = "5s",
        login: tuple[str, str] | None = None,
    ) -> None:
        self.folder, self.login = folder, login
        self.port = _free_port()
        self.url = f"{'https' if web and 'tls_server_config' in web else 'http'}://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").mkdir(exist_ok=True)
        self._configure(scrape, web, scrape_interval)
        self._fill(lines)

    def __enter__(self) -> Self:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, env=_plain_environment())
        self._wait_until_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _configure(self, scrape: Sequence[Mapping[str, Any]], web: Mapping[str, Any] | None, interval: str) -> None:
        settings = {"global": {"scrape_interval": interval}, "scrape_configs": [dict(one) for one in scrape]}
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        (self.folder / "web.yml").write_text(yaml.safe_dump(dict(web or {})))

    def _fill(self, lines: Iterable[str]) -> None:
        text = self.folder / "samples.txt"
        with text.open("w") as file:
            file.writelines(lines)
        if text.stat().st_size > len("# EOF\n"):
            # Blocks of the default two hours would make promtool read the whole file once for each.
            make = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=1458h", "openmetrics"]
            subprocess.run([*make, text, self.folder / "data"], check=True, capture_output=True)
        text.unlink()

    def _command(self) -> list[str]:
        return [
            "prometheus",
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--web.config.file={self.folder / 'web.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=30y",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + _READY_WITHIN_S
        while time.monotonic() < end and self._process.poll() is None:
            if _answers(f"{self.url}/-/ready", self.login):
                return
            time.sleep(0.1)
        self.stop()
        pytest.fail(f"Prometheus did not start: {(self.folder / 'log').read_text()[-2000:]}")


def _answers(url: str, login: tuple[str, str] | None) -> bool:
    """Whether it is ready: before, it says 503, or 401 to whoever it does not know."""
    trusting_all = ssl.create_default_context()
    trusting_all.check_hostname, trusting_all.verify_mode = False, ssl.CERT_NONE
    told = {"Authorization": f"Basic {b64encode(':'.join(login).encode()).decode()}"} if login else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=told), timeout=5, context=trusting_all):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


@pytest.fixture(scope="session")
def start_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., PrometheusServer]]:
    """Starts a PrometheusServer with the arguments given, and stops it at the end of the session."""
    missing = [program for program in ("prometheus", "promtool") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not found; install Debian's package prometheus")
    started: list[PrometheusServer] = []

    def start(lines: Iterable[str] = (), **options: Any) -> PrometheusServer:
        server = PrometheusServer(tmp_path_factory.mktemp("prometheus"), lines, **options)
        started.append(server)
        return server.__enter__()

    yield start
    for server in started:
        server.stop()
