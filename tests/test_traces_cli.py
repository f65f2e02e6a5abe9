"""`gyropilot traces` as a user runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from typer.testing import CliRunner

from envs import originals
from envs.job_file import read_jobs
from envs.originals import ORIGINALS, Fetched, Original, Told
from envs.workloads import ENDINGS
from gyropilot.cli import app
from gyropilot.errors import SettingsError
from tests.command import gyropilot


class Answer(NamedTuple):
    out: str
    err: str


def test_list_tells_each_original_with_its_address_and_whether_it_is_here(tmp_path: Path) -> None:
    (tmp_path / "burstgpt-1-BurstGPT_1.csv").write_text("")

    told = ran("list", "--to", tmp_path).out

    assert [each.address for each in ORIGINALS if each.address not in told] == []
    (line,) = (line for line in told.splitlines() if line.startswith("burstgpt-1"))
    assert " ".join(line.split()) == f"burstgpt-1 52.3 MB CC BY 4.0 checksum published in {tmp_path}"
    (line,) = (line for line in told.splitlines() if line.startswith("openb"))
    assert " ".join(line.split()) == "openb not told none stated; cite ATC'23 no checksum not here"


def test_list_tells_programs_the_same(tmp_path: Path) -> None:
    told = json.loads(ran("list", "--to", tmp_path, "--format", "json").out)

    assert [each["name"] for each in told["originals"]] == [each.name for each in ORIGINALS]
    assert not any(each["here"] for each in told["originals"])
    assert [each["name"] for each in told["profiles"]] == ["philly", "helios", "pai", "services"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_what_is_generated_is_read_by_simulate_and_described(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"jobs.{suffix}"

    said = ran("generate", "helios", "--days", 7, "--seed", 2, "--out", path).err

    count = len(read_jobs(path).table)
    assert said == f"{count:,} jobs of 3 queues written to {path}\n"
    simulated = CliRunner().invoke(app, ["simulate", "--jobs", str(path), "--fixed-nodes", "40", "--format", "json"])
    assert json.loads(simulated.stdout)["queues"][0]["jobs"] == count
    assert json.loads(ran("describe", path, "--format", "json").out)["everything"]["jobs"] == count


def test_the_same_seed_writes_the_same_jobs_and_another_does_not(tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{name}.csv" for name in ("first", "second", "other"))

    for path, seed in ((first, 1), (second, 1), (other, 2)):
        ran("generate", "pai", "--days", 1, "--seed", seed, "--out", path)

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()


def test_what_is_written_tells_how_jobs_ended_and_whose_they_are(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"

    ran("generate", "philly", "--days", 3, "--out", path)

    frame = pd.read_parquet(path)
    assert set(frame["state"]) == {"passed", "killed", "failed"}
    assert frame["user"].str.startswith(frame["queue"].iloc[0] + "/user-").any()
    assert [ENDINGS[index].value for index in read_jobs(path).table.ending] == frame["state"].tolist()


def test_of_few_gpu_hours_describe_tells_the_fractions(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("queue,submit_s,duration_s,gpus\nnlp,0,3000,1\nvision,60,90,1\n")

    told = ran("describe", path).out

    assert "0.86 GPU-hours" in told
    rows = re.findall(r"^ ?(all queues|nlp|vision) +\d+ +(\S+)", told, re.MULTILINE)
    assert rows == [("all queues", "0.86"), ("nlp", "0.83"), ("vision", "0.025")]


def test_describe_tells_the_total_from_a_queue_that_is_called_all(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("submit_s,duration_s,gpus\n0,3600,1\n")

    assert re.findall(r"^ ?(all.*?)  ", ran("describe", path).out, re.MULTILINE) == ["all queues", "all"]


def test_describe_tells_what_is_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(
        "queue,submit_s,duration_s,gpus,user,state\n"
        "nlp,0,3600,1,ann,Pass\nnlp,86400,7200,8,bob,CANCELLED\nvision,172800,3600,2,ann,COMPLETED\nvision,9,,1,ann,FAILED\n"
    )

    told = json.loads(ran("describe", path, "--format", "json").out)

    assert told["days"] == 2.0
    assert told["everything"]["gpu_hours"] == 1 + 16 + 2
    assert told["largest_gpus"] == 8
    assert told["endings"] == {"passed": pytest.approx(2 / 3), "killed": pytest.approx(1 / 3), "failed": 0.0}
    assert [(q["name"], q["jobs"], q["duration_s"]["p50"]) for q in told["queues"]] == [
        ("nlp", 2, 5400.0),
        ("vision", 1, 3600.0),
    ]
    assert [(size["name"], size["jobs"]) for size in told["sizes"][:3]] == [
        ("1 GPU", 1),
        ("2-4 GPUs", 1),
        ("5-8 GPUs", 1),
    ]
    assert len(told["notes"]) == 1
    assert told["notes"][0].startswith("1 job is left out")


def test_describe_tells_what_a_profile_generates() -> None:
    told = ran("describe", "pai", "--days", 2, "--seed", 5).out

    assert told.startswith("pai, seed 5 (NSDI'22, figures of the paper only) · ")
    assert "100.0% passed" in told


def test_a_state_that_is_not_known_is_taken_as_passed_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("submit_s,duration_s,gpus,state\n0,60,1,Evaporated\n")

    assert "· state 'Evaporated' is taken as passed" in ran("describe", path).out


def test_describe_of_an_original_that_is_not_here_says_how_to_get_it() -> None:
    told = ran("describe", "pai-jobs")

    assert "5aad7f7caac501136d14ed6a48e40546f825d7b0617a3a4f337e2348fe0a6cb0" in told.out
    assert told.err == "what is in it can be told once it is here: gyropilot traces download pai-jobs\n"


def test_download_prints_the_checksum_and_says_whether_one_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(wanted: Original, folder: Path, told: Told, replace: bool) -> Fetched:
        told(1_000_000, 2_000_000)
        return Fetched(folder / wanted.file, "ab" * 32, new=not replace)

    monkeypatch.setattr(originals, "fetch", fetched)

    unchecked, checked = ran("download", "openb", "--to", tmp_path), ran("download", "pai-jobs", "--to", tmp_path)

    assert unchecked.out == f"{'ab' * 32}  {tmp_path}/openb-openb_pod_list_default.csv\n"
    assert "no checksum is published for it" in unchecked.err
    assert "its checksum is the published one" in checked.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("describe", "phily"), "'phily' is neither a file nor a profile; there are philly, helios, pai"),
        (("describe", "missing.csv"), "missing.csv cannot be read: No such file or directory"),
        (("generate", "phily", "--out", "jobs.csv"), "'phily' is neither a file nor a profile"),
        (("generate", "pai", "--out", "jobs.txt"), "jobs.txt ends with neither .parquet nor .csv"),
        (("download", "phily"), "'phily' is no trace; there are philly-traces"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["traces", *words])

    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).startswith(why)


def test_offline_download_ends_with_four_and_names_the_generator(tmp_path: Path) -> None:
    result = gyropilot("traces", "download", "openb", folder=tmp_path, HTTPS_PROXY="http://127.0.0.1:9")

    assert result.returncode == 4
    assert result.stdout == ""
    assert "cannot be fetched" in result.stderr
    assert "`gyropilot traces generate` makes jobs like those of philly, helios and pai" in result.stderr
    assert list((tmp_path / "traces").iterdir()) == []


def ran(*words: object) -> Answer:
    result = CliRunner().invoke(app, ["traces", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return Answer(result.stdout, result.stderr)
