"""One program that runs in the background until it is stopped."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.parts import Command
from tests.controlplane.site import Site

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started program and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, command: Command, site: Site) -> Running:
        """Start and wait until it is ready. Raises RuntimeError with the end of its log when it is not."""
        log = site.home / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                command.argv,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **command.env},
                start_new_session=True,
            )
        running = cls(name, process, log)
        running._wait_ready(command.ready, _trust(site))
        return running

    def stop(self) -> None:
        """Ask it to end, insist after ten seconds."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_ready(self, url: str, context: ssl.SSLContext) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and self.process.poll() is None:
            if _answers(url, context):
                return
            time.sleep(0.05)
        self.stop()
        tail = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} did not become ready; the end of its log:\n{tail}")


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _trust(site: Site) -> ssl.SSLContext:
    """Our certificate for the API server; any server's, since some make their own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(site.pki / "admin.crt", site.pki / "admin.key")
    return context
