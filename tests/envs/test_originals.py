"""Fetching public files, from a server on loopback: whole or not at all, checked, and never over something else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from envs.originals import ORIGINALS, Original, fetch, original
from gyropilot.errors import SettingsError, UnreachableError

CONTENT = b"job,gpus\n" * 300_000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Publisher:
    """What it serves, and what it was asked for."""

    address: str = ""
    content: bytes = CONTENT
    told_size: int | None = None  # other than it is
    status: int = 200
    asked: list[str] = field(default_factory=list)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is asked for directly, whatever this machine goes through."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    told = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            self.send_response(told.status)
            size = len(told.content) if told.told_size is None else told.told_size
            self.send_header("Content-Length", str(size))
            self.end_headers()
            with suppress(ConnectionError):  # who has seen enough hangs up
                self.wfile.write(told.content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.address = f"http://127.0.0.1:{server.server_port}/data/jobs.csv"
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_whole_and_its_checksum_is_told(publisher: Publisher, tmp_path: Path) -> None:
    found = fetch(of(publisher), tmp_path / "new" / "folder", quietly)

    assert found.path == tmp_path / "new" / "folder" / "example-jobs.csv"
    assert found.path.read_bytes() == CONTENT
    assert (found.sha256, found.new) == (CHECKSUM, True)
    assert files(found.path.parent) == ["example-jobs.csv"]


def test_progress_goes_up_to_the_whole(publisher: Publisher, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []

    fetch(of(publisher), tmp_path, lambda here, whole: steps.append((here, whole)))

    assert len(steps) > 1
    assert steps == sorted(steps)
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_what_is_here_already_is_not_fetched_again(publisher: Publisher, tmp_path: Path) -> None:
    fetch(of(publisher), tmp_path, quietly)

    again = fetch(of(publisher), tmp_path, quietly)

    assert (again.sha256, again.new) == (CHECKSUM, False)
    assert len(publisher.asked) == 1


def test_a_different_file_in_its_place_is_left_alone_unless_asked_for(publisher: Publisher, tmp_path: Path) -> None:
    mine = tmp_path / "example-jobs.csv"
    mine.write_text("mine")

    with pytest.raises(SettingsError, match=r"is there and is not the original .* or say --replace"):
        fetch(of(publisher), tmp_path, quietly)
    assert mine.read_text() == "mine"

    fetch(of(publisher), tmp_path, quietly, replace=True)
    assert mine.read_bytes() == CONTENT


def test_without_a_published_checksum_what_is_here_is_left_alone(publisher: Publisher, tmp_path: Path) -> None:
    mine = tmp_path / "example-jobs.csv"
    mine.write_text("mine")

    found = fetch(replace(of(publisher), sha256=None), tmp_path, quietly)

    assert (found.new, mine.read_text(), publisher.asked) == (False, "mine", [])


def test_a_file_with_another_checksum_is_refused_and_nothing_is_kept(publisher: Publisher, tmp_path: Path) -> None:
    publisher.content = b"something else"

    with pytest.raises(UnreachableError, match=r"gave another file than is published .* nothing was kept"):
        fetch(of(publisher), tmp_path, quietly)

    assert files(tmp_path) == []


def test_replacing_by_a_wrong_file_keeps_the_old_one(publisher: Publisher, tmp_path: Path) -> None:
    mine = tmp_path / "example-jobs.csv"
    mine.write_text("mine")
    publisher.content = b"something else"

    with pytest.raises(UnreachableError):
        fetch(of(publisher), tmp_path, quietly, replace=True)

    assert mine.read_text() == "mine"
    assert files(tmp_path) == ["example-jobs.csv"]


def test_a_connection_that_breaks_off_leaves_nothing(publisher: Publisher, tmp_path: Path) -> None:
    publisher.told_size = len(CONTENT) + 1

    with pytest.raises(UnreachableError, match=r"jobs.csv (cannot be fetched|stopped after)"):
        fetch(replace(of(publisher), sha256=None), tmp_path, quietly)

    assert files(tmp_path) == []


def test_a_server_that_says_no_is_quoted(publisher: Publisher, tmp_path: Path) -> None:
    publisher.status = 404

    with pytest.raises(UnreachableError, match=r"the server answers 404 Not Found; without it, `gyropilot traces gen"):
        fetch(of(publisher), tmp_path, quietly)


def test_where_nothing_can_be_reached_the_generator_is_named(tmp_path: Path) -> None:
    nobody = Original("example", "", "", "http://127.0.0.1:9/jobs.csv", None, None)

    with pytest.raises(UnreachableError, match=r"Connection refused; without it, `gyropilot traces generate` makes"):
        fetch(nobody, tmp_path, quietly)


def test_a_folder_that_cannot_be_made_is_a_sentence(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"cannot be written: .*; give another --to"):
        fetch(of(publisher), tmp_path / "file" / "folder", quietly)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"'phily' is no trace; there are philly-traces, helios-data, pai-jobs"):
        original("phily")


@pytest.mark.parametrize("each", ORIGINALS, ids=lambda each: each.name)
def test_each_original_is_told_in_full_and_fetched_safely(each: Original) -> None:
    assert each.address.startswith("https://")
    assert each.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", each.sha256)
    assert each.what
    assert each.licence


def test_no_two_originals_have_one_name_or_one_file() -> None:
    assert len({each.name for each in ORIGINALS}) == len({each.file for each in ORIGINALS}) == len(ORIGINALS)


def of(publisher: Publisher) -> Original:
    return Original("example", "Jobs", "none", publisher.address, None, CHECKSUM)


def quietly(here: int, whole: int | None) -> None:
    pass


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
