"""What `gyropilot simulate` tells unasked, and which files it leaves alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from numba import njit
from typer.testing import CliRunner

from forecasting.compiled.first_use import first_use
from gyropilot.cli import app
from gyropilot.errors import SettingsError
from tests.command import gyropilot

JOBS = """job_id,queue,submit_s,duration_s,gpus
a,vision,0,3600,8
b,nlp,1800,3600,4
"""
CLUSTER = """
flavors: {x: 8}
queues:
  vision: {cohort: all, shares: {x: {nominal: 8}}}
  nlp: {cohort: all, shares: {x: {nominal: 0}}}
"""
BIG = """services:
  - {name: chat, queue: nlp, load: {per_s: 1, days: 0.01}, gpus_per_replica: 16, capacity_per_s: 100}
"""
REGIONS = """
flavors:
  east: {nodes: 1, region: us-east-1}
  west: {nodes: 1, region: us-west-2}
queues:
  vision: {region: us-east-1, shares: {east: {nominal: 8}}}
  nlp: {region: us-east-1, shares: {east: {nominal: 1}, west: {nominal: 8}}}
prices: {egress_usd_per_gb: 0.5}
"""
SERVED = """services:
  - {name: chat, queue: nlp, load: {file: load.csv}, capacity_per_s: 2}
"""


def test_the_first_run_says_that_loops_are_compiled_and_the_next_does_not(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(JOBS)
    asked = ("simulate", "--jobs", "jobs.csv", "--fixed-nodes", "1", "--format", "json")

    first, second = (gyropilot(*asked, folder=tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "kept")) for _ in range(2))

    assert (
        first.stderr
        == "compiling the simulator's loops for this machine (a minute or more); kept until they change, and what is "
        "first used later compiles its own\n"
    )
    assert second.stderr == ""
    assert first.stdout == second.stdout


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            "far,nlp,1.7e9,60,1\n",
            "job far comes, or ends, 19,676 days after the first, a, comes; pilots look every five minutes, for ten "
            "years at most: mend or leave out the one",
        ),
        ("long,nlp,0,9e8,1\n", "job long comes, or ends, 10,417 days after"),
    ],
)
def test_a_world_without_an_end_is_refused_to_pilots_with_the_job_to_blame(more: str, why: str, tmp_path: Path) -> None:
    asked = written(tmp_path, JOBS + more, CLUSTER)

    with pytest.raises(SettingsError, match=why):
        CliRunner().invoke(app, ["simulate", *asked, "--pilot", "hold"], catch_exceptions=False)
    assert json.loads(answered(*asked, "--format", "json"))["queues"][0]["jobs"] == 3


def test_a_table_of_jobs_is_written_as_parquet_or_csv_alone(tmp_path: Path) -> None:
    asked = written(tmp_path, JOBS, CLUSTER)

    with pytest.raises(SettingsError, match=r"runs.json ends with neither .parquet nor .csv; give a file that does"):
        CliRunner().invoke(app, ["simulate", *asked, "--jobs-out", str(tmp_path / "runs.json")], catch_exceptions=False)


def test_that_what_is_compiled_is_not_kept_is_told_once() -> None:
    heard: list[bool] = []
    twice = njit()(_twice)

    with first_use(heard.append):
        assert (twice(1), twice(2.0)) == (2, 4.0)  # compiled for whole numbers, and for others

    assert heard == [False]


@pytest.mark.parametrize("option", ["--out", "--jobs-out"])
@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("jobs.csv", "--jobs"),
        ("cluster.yaml", "--scenario"),
        ("load.csv", "the load of service chat"),
        ("../{}/load.csv", "the load of service chat"),
        ("tuned.yaml", "the file of --pilot newsvendor@.*"),
    ],
)
def test_no_file_that_is_read_is_written_over(option: str, name: str, whose: str, tmp_path: Path) -> None:
    files = {
        "jobs.csv": JOBS,
        "cluster.yaml": CLUSTER + SERVED,
        "load.csv": "t_s,requests\n0,60\n60,120\n",
        "tuned.yaml": "pilot: {name: newsvendor}\n",
    }
    for each, text in files.items():
        (tmp_path / each).write_text(text)
    written = tmp_path / name.format(tmp_path.name)
    told = {"--jobs": "jobs.csv", "--scenario": "cluster.yaml"}
    asked = [word for each, file in told.items() for word in (each, str(tmp_path / file))]

    with pytest.raises(SettingsError, match=rf"{option} .* is also {whose}, which it would replace; give another"):
        CliRunner().invoke(
            app,
            ["simulate", *asked, "--pilot", f"newsvendor@{tmp_path / 'tuned.yaml'}", option, str(written)],
            catch_exceptions=False,
        )

    assert {each: (tmp_path / each).read_text() for each in files} == files


def test_who_can_never_run_is_told_with_its_reason_in_every_format(tmp_path: Path) -> None:
    asked = written(tmp_path, JOBS + "c,nlp,0,60,9\nd,nlp,0,60,64\n", CLUSTER + BIG)
    jobs = "2 jobs of nlp can never run, such as c (9 GPUs): no flavor of its queue ever has more than 8 GPUs"
    replicas = "1 replica of service chat can never run, such as chat/1 (16 GPUs): no flavor of its queue ever has more"

    text, page = answered(*asked), answered(*asked, "--format", "html")
    told = json.loads(answered(*asked, "--format", "json"))

    assert all(sentence in text and sentence in page for sentence in (jobs, replicas))
    assert '<a href="#notes">2 jobs and 1 replica</a> can never run.' in page
    assert told["cannot_run"][0] == {
        "queue": "nlp",
        "service": None,
        "jobs": 2,
        "example": "c",
        "gpus": 9.0,
        "why": "no flavor of its queue ever has more than 8 GPUs",
    }
    assert (told["queues"][0]["never_started"], told["queues"][0]["left_waiting"]) == (2, 1)  # a replica leaves


def test_what_only_a_pilot_could_ask_for_is_said_where_there_is_none(tmp_path: Path) -> None:
    cluster = CLUSTER.replace("x: 8", "x: {nodes: 1, max_nodes: 2, lead_s: 0}").replace("nominal: 8", "nominal: 16")
    asked = written(tmp_path, JOBS + "c,nlp,0,60,9\nd,nlp,9000,60,1\n", cluster)

    alone = json.loads(answered(*asked, "--format", "json"))
    steered = json.loads(answered(*asked, "--pilot", "hold,reactive", "--format", "json"))

    assert [each["example"] for each in alone["cannot_run"]] == ["c"]
    assert "without --pilot nobody asks for nodes: each flavor stays as it begins" in alone["notes"]
    assert steered["cannot_run"] == []
    assert "can never run" not in answered(*asked, "--pilot", "hold,reactive", "--format", "html")


def test_validate_says_which_services_can_never_run(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER + BIG)

    done = CliRunner().invoke(app, ["scenario", "validate", str(path)], catch_exceptions=False)

    assert done.stderr == (
        "no replica of chat can ever run: it takes 16 GPUs, and no flavor of its queue ever has more than 8 GPUs\n"
    )


def test_a_replica_that_fits_on_no_node_is_told_though_it_runs(tmp_path: Path) -> None:
    cluster = CLUSTER.replace("x: 8", "x: {nodes: 2}").replace("nominal: 8", "nominal: 16")

    told = json.loads(answered(*written(tmp_path, JOBS, cluster + BIG), "--format", "json"))

    assert told["cannot_run"] == []
    assert told["notes"] == [
        "a replica of chat takes 16 GPUs, and no node of its queue's flavors has more than 8; here GPUs of several "
        "nodes are as good"
    ]


def test_who_left_before_it_started_is_counted_apart(tmp_path: Path) -> None:
    jobs = "queue,submit_s,duration_s,gpus,leaves_s\nvision,0,600,8,\nvision,1,60,8,30\nnlp,1,60,9,\n"
    asked = written(tmp_path, jobs, CLUSTER)

    text = answered(*asked)
    alone = json.loads(answered(*asked, "--format", "json"))["queues"][0]
    hold = json.loads(answered(*asked, "--pilot", "hold", "--format", "json"))["pilots"][0]["queues"][0]

    assert "left waiting" in text
    assert ", 1 never started, 1 left before starting; " in text.splitlines()[-1]
    assert (alone["never_started"], alone["left_waiting"]) == (hold["never_started"], hold["left_waiting"]) == (1, 1)
    assert "left waiting" not in answered(*written(tmp_path, JOBS, CLUSTER))


def test_egress_costs_the_same_with_a_pilot_that_does_nothing_and_without(tmp_path: Path) -> None:
    jobs = "queue,submit_s,duration_s,gpus,data_gb\nvision,0,600,8,30\nnlp,1,600,8,12\nnlp,2,600,1,\n"
    asked = written(tmp_path, jobs, REGIONS)

    alone = json.loads(answered(*asked, "--format", "json"))
    hold = json.loads(answered(*asked, "--pilot", "hold", "--format", "json"))["pilots"][0]

    assert (alone["sent_gb"], alone["egress_usd"]) == (12.0, pytest.approx(6.0))
    assert (hold["sent_gb"], hold["usd_by_kind"]["egress"]) == (12.0, pytest.approx(6.0))
    assert "· 12 GB were sent to other regions, for 6.00 USD" in answered(*asked)


def test_data_that_nobody_places_is_told_to_stay(tmp_path: Path) -> None:
    jobs = "queue,submit_s,duration_s,gpus,data_gb\nvision,0,600,8,30\n"

    assert "· jobs tell data_gb, but nothing is sent: region of" in answered(*written(tmp_path, jobs, CLUSTER))


def test_jobs_are_written_with_the_same_columns_with_pilots_and_without(tmp_path: Path) -> None:
    jobs = (
        "job_id,queue,submit_s,duration_s,gpus,deadline_s\n"
        "a,vision,100,600,8,600\nb,vision,160,60,8,300\nc,vision,200,60,8,\nd,nlp,200,60,9,9000\n"
    )
    asked = written(tmp_path, jobs, CLUSTER)
    paths = [tmp_path / "alone.parquet", tmp_path / "steered.parquet"]

    told = [
        json.loads(answered(*asked, *more, "--format", "json", "--jobs-out", str(path)))
        for more, path in zip(((), ("--pilot", "hold")), paths, strict=True)
    ]

    alone, steered = (pd.read_parquet(path) for path in paths)
    assert list(steered) == ["pilot", *alone]
    assert list(alone) == [
        "job_id", "queue", "gpus", "held_gpus", "submit_s", "start_s", "end_s", "wait_s", "preemptions", "due_s",
        "in_time", "flavor",
    ]  # fmt: skip
    pd.testing.assert_frame_equal(alone, steered.drop(columns="pilot"))
    assert alone["in_time"].dropna().to_dict() == {0: True, 1: False, 3: False}
    assert alone["due_s"].tolist()[:2] == [700.0, 460.0]
    assert alone["flavor"].tolist() == ["x", "x", "x", None]
    due = [told[0]["queues"][0], told[1]["pilots"][0]["queues"][0]]
    assert [(each["due"], each["in_time_share"]) for each in due] == [(3, pytest.approx(1 / 3))] * 2


NAMELESS = "submit_s,duration_s,gpus,deadline_s\n0,600,8,600\n60,60,1,600\n"
ONE_QUEUE = "flavors: {x: 8}\nqueues: {all: {shares: {x: {nominal: 8}}}}\n"


@pytest.mark.parametrize("more", [(), ("--pilot", "hold"), ("--pilot", "hold,reactive")])
def test_the_total_is_no_queue_that_is_called_all_as_where_a_table_names_none(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    asked = (*written(tmp_path, NAMELESS, ONE_QUEUE), *more)

    text, page = answered(*asked), answered(*asked, "--format", "html")

    assert re.findall(r"^ ?(all queues|all) ", text, re.MULTILINE)[-2:] == ["all queues", "all"]
    assert set(re.findall('<th scope="row">(all[^<]*)</th>', page)) == {"all queues", "all"}


def test_a_world_of_less_than_a_day_is_told_in_minutes(tmp_path: Path) -> None:
    jobs = "queue,submit_s,duration_s,gpus\nvision,100,600,8\nnlp,200,60,1\n"

    assert "\n2 jobs in 15 min; all pilots met" in answered(*written(tmp_path, jobs, CLUSTER), "--pilot", "hold")


WATTS = "watts_idle_per_gpu: 60, watts_busy_per_gpu: 400"


def test_of_gangs_that_wait_to_the_end_every_format_says_that_they_waited_at_least_so_long(tmp_path: Path) -> None:
    gangs = "".join(f"g{nth},nlp,{nth},36000,16\n" for nth in range(8))
    cluster = CLUSTER.replace("x: 8", "x: {nodes: 1, max_nodes: 2}").replace("nominal: 8", "nominal: 16")
    asked = written(tmp_path, JOBS + gangs, cluster)

    text, page = answered(*asked, "--pilot", "hold"), answered(*asked, "--pilot", "hold", "--format", "html")
    hold = json.loads(answered(*asked, "--pilot", "hold", "--format", "json"))["pilots"][0]["queues"][0]
    alone = json.loads(answered(*asked, "--format", "json"))["queues"][0]

    assert (hold["jobs"], hold["never_started"]) == (10, 8)
    assert hold["wait_p95_s"] > 35_000
    assert hold["wait_p50_is_lower_bound"] is hold["wait_p95_is_lower_bound"] is True
    assert "≥ 10.1 h" in text
    assert "≥ 10.1 h" in page
    means = "≥ is that long or longer: jobs that never started count with all the time until the run ended."
    assert f"· {means}" in text
    assert means in page
    assert alone["wait_p95_is_lower_bound"] is alone["wait_longest_is_lower_bound"] is True
    assert "half of them waited at least 2.0 h, the longest at least 2.0 h" in answered(*asked)


def test_of_jobs_that_all_left_nothing_is_known_of_their_waits(tmp_path: Path) -> None:
    jobs = "queue,submit_s,duration_s,gpus,leaves_s\nvision,0,600,8,\nnlp,1,60,9,30\n"
    asked = written(tmp_path, jobs, CLUSTER)

    nlp = json.loads(answered(*asked, "--format", "json"))["queues"][1]

    assert (nlp["queue"], nlp["left_waiting"], nlp["wait_p50_s"], nlp["wait_p95_s"]) == ("nlp", 1, None, None)
    assert re.search(r"\n nlp +1 +0 +1 +0 +– +– +– +–\n", answered(*asked))


@pytest.mark.parametrize(
    ("flavor", "prices", "known", "why"),
    [
        ("nodes: 1", "carbon_g_per_kwh: 300", (), "kWh and kg CO2 are not known: no flavor tells watts_busy_per_gpu"),
        (f"nodes: 1, {WATTS}", "", ("kwh",), "kg CO2 are not known: neither prices nor a flavor tells carbon_g_per_k"),
        (f"nodes: 1, {WATTS}", "carbon_g_per_kwh: 300", ("kwh", "kg_co2"), None),
    ],
)
def test_energy_and_carbon_that_nobody_tells_are_dashes_and_not_nothing(
    flavor: str, prices: str, known: tuple[str, ...], why: str | None, tmp_path: Path
) -> None:
    cluster = f"{CLUSTER.replace('x: 8', f'x: {{{flavor}}}')}prices: {{{prices}}}\n"
    asked = [*written(tmp_path, JOBS, cluster), "--pilot", "hold"]

    told, text = json.loads(answered(*asked, "--format", "json")), answered(*asked)

    pilot = told["pilots"][0]
    assert tuple(name for name in ("kwh", "kg_co2") if pilot[name] is not None) == known
    assert answered(*asked, "--format", "html").count("<td>–</td>") == text.count(" –") == 2 - len(known)
    assert [note for note in told["notes"] if "CO2" in note] == [
        line[2:] for line in text.splitlines() if why and why in line
    ]
    assert bool(why) == any("CO2 are" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("prices", "notes"),
    [
        ("carbon_g_per_kwh: 300", ["kWh and kg CO2 are without y, told without watts_busy_per_gpu"]),
        (
            "",
            [
                "kWh are without y, told without watts_busy_per_gpu",
                "kg CO2 are not known: neither prices nor a flavor tells carbon_g_per_kwh",
            ],
        ),
    ],
)
def test_of_flavors_of_which_some_tell_watts_the_others_are_named(
    prices: str, notes: list[str], tmp_path: Path
) -> None:
    cluster = CLUSTER.replace("x: 8", f"x: {{nodes: 1, {WATTS}}}, y: 8") + f"prices: {{{prices}}}\n"

    told = json.loads(answered(*written(tmp_path, JOBS, cluster), "--pilot", "hold", "--format", "json"))

    assert told["notes"] == notes


MANY_QUEUES = "".join(f"q{nth},queue-{nth},0,60,1\n" for nth in range(40))


@pytest.mark.parametrize("more", ["", MANY_QUEUES, "c,'2024',0,600,100\n", "c,no,0,0,1\n", "c,ü: {x},60,600,0.5\n"])
def test_a_scenario_is_drawn_up_in_which_the_same_jobs_run(more: str, tmp_path: Path) -> None:
    jobs, cluster = tmp_path / "jobs.csv", tmp_path / "cluster.yaml"
    jobs.write_text(JOBS + more)

    drawn = CliRunner().invoke(app, ["scenario", "sample", "--jobs", str(jobs)], catch_exceptions=False)

    cluster.write_text(drawn.stdout)
    asked = ("--jobs", str(jobs), "--scenario", str(cluster))
    told = json.loads(answered(*asked, "--format", "json"))
    assert told["queues"][0]["never_started"] == 0
    assert told["gpus"] >= (100 if "100" in more else 8)
    assert told["cannot_run"] == []


def test_in_a_scenario_that_was_drawn_up_the_largest_gang_does_not_wait_until_nobody_else_runs(tmp_path: Path) -> None:
    steady = "".join(f"s{nth},nlp,{600 * nth},3600,8\n" for nth in range(200))
    jobs, cluster = tmp_path / "jobs.csv", tmp_path / "cluster.yaml"
    jobs.write_text(f"job_id,queue,submit_s,duration_s,gpus\n{steady}large,vision,60001,3600,128\n")

    cluster.write_text(CliRunner().invoke(app, ["scenario", "sample", "--jobs", str(jobs)]).stdout)

    told = json.loads(answered("--jobs", str(jobs), "--scenario", str(cluster), "--format", "json"))
    waits = {queue["queue"]: queue["wait_p95_s"] for queue in told["queues"]}
    assert waits["vision"] == 0.0


@pytest.mark.parametrize(
    ("jobs", "waited"),
    [
        (2, "; nobody waited\n"),
        (3, "; half of them did not wait, the longest 60 min\n"),  # the third
        (19, "; half of them waited 4.0 h or less, the longest 9.0 h\n"),
        (30, "; half of them waited 7.0 h or less, 7 % more than 13.5 h\n"),  # two of them, 14 h; the others up to 13 h
        (40, "; half of them waited 9.5 h or less, 5 % more than 18.0 h\n"),  # two of them, 19 h
    ],
)
def test_of_waits_no_more_is_said_than_so_many_jobs_can_tell(jobs: int, waited: str, tmp_path: Path) -> None:
    rows = "".join(f"{nth},nlp,0,3600,1\n" for nth in range(jobs))

    (tmp_path / "jobs.csv").write_text(f"job_id,queue,submit_s,duration_s,gpus\n{rows}")
    told = answered("--jobs", str(tmp_path / "jobs.csv"), "--fixed-nodes", "1", "--gpus-per-node", "2")

    assert told.endswith(waited)


def test_who_all_left_before_they_started_are_not_said_to_have_waited_long(tmp_path: Path) -> None:
    left = "queue,submit_s,duration_s,gpus,leaves_s\nnlp,1,60,9,30\n"
    one_ran = f"{left}vision,0,600,8,\n"

    assert answered(*written(tmp_path, left, CLUSTER)).endswith("1 left before starting\n")
    assert answered(*written(tmp_path, one_ran, CLUSTER)).endswith("1 left before starting; nobody else waited\n")


def written(folder: Path, jobs: str, cluster: str) -> list[str]:
    """Options that name them."""
    (folder / "jobs.csv").write_text(jobs)
    (folder / "cluster.yaml").write_text(cluster)
    return ["--jobs", str(folder / "jobs.csv"), "--scenario", str(folder / "cluster.yaml")]


def answered(*options: str) -> str:
    done = CliRunner().invoke(app, ["simulate", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def _twice(number: float) -> float:
    return 2 * number
