"""What lost nodes cost, told by cause: the same figures as text, JSON, a page and job by job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from envs.losses import Loss
from gyropilot.report import trials
from gyropilot.report.trials import Trials
from tests.report import trialled

LOSSES = (
    Loss("interruptions", nodes=1_234, stops=56, gpu_hours=78.91, usd=4_321.0),
    Loss("failures", nodes=7, stops=3, gpu_hours=0.25, usd=0.6),
    Loss("outages", nodes=0, stops=0, gpu_hours=0.0, usd=0.0),
)


def told() -> Trials:
    """Three pilots, of whom the second lost nodes."""
    found = trialled.trials()
    hits = np.zeros((3, len(found.trials[0].jobs)), dtype=np.int64)
    none = tuple(Loss(loss.cause, 0, 0, 0.0, 0.0) for loss in LOSSES)
    first, second, third = (replace(trial, losses=none, hits=hits) for trial in found.trials)
    struck = hits.copy()
    struck[:, :2] = [[2, 0], [0, 1], [0, 0]]
    return replace(found, trials=(first, replace(second, losses=LOSSES, hits=struck), third))


def test_text_and_page_tell_interruptions_and_failures_apart() -> None:
    text, page = (trials.render(told(), format_) for format_ in ("text", "html"))

    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "pilot nodes lost to nodes jobs stopped lost GPU-h USD of it" in rows
    assert "reactive interruptions 1,234 56 78.9 4,321" in rows
    assert "reactive failures 7 3 0.2 1" in rows
    assert "hold failures 0 0 0.0 0" in rows
    assert not any("outages" in row for row in rows)
    assert (
        '<th scope="row">reactive</th><td>interruptions</td><td>1,234</td><td>56</td><td>78.9</td><td>4,321</td>'
        in page
    )


def test_json_tells_them_apart() -> None:
    pilots = json.loads(trials.render(told(), "json"))["pilots"]

    assert pilots[1]["losses"]["interruptions"] == {
        "nodes": 1_234,
        "jobs_stopped": 56,
        "lost_gpu_hours": 78.91,
        "lost_work_usd": 4_321.0,
    }
    assert pilots[0]["losses"]["failures"]["nodes"] == 0


def test_jobs_tell_what_stopped_them(tmp_path: Path) -> None:
    trials.write_jobs(tmp_path / "jobs.parquet", told())

    mine = pd.read_parquet(tmp_path / "jobs.parquet").query("pilot == 'reactive'")
    assert mine["interruptions"].tolist()[:3] == [2, 0, 0]
    assert mine["failures"].tolist()[:3] == [0, 1, 0]


def test_where_causes_are_not_told_apart_nothing_is_said_of_them(tmp_path: Path) -> None:
    found = trialled.trials()
    trials.write_jobs(tmp_path / "jobs.csv", found)

    assert "nodes lost to" not in trials.render(found, "text") + trials.render(found, "html")
    assert "losses" not in json.loads(trials.render(found, "json"))["pilots"][0]
    assert not {"interruptions", "failures"} & set(pd.read_csv(tmp_path / "jobs.csv"))
