"""`gyropilot simulate` as a user runs it: figures, job by job, and refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from envs.scenario import read_scenario
from gyropilot.cli import app
from gyropilot.errors import SettingsError
from tests.command import gyropilot

JOBS = """job_id,queue,submit_s,duration_s,gpus
a,vision,0,3600,8
b,nlp,1800,3600,12
c,nlp,1800,1800,1
d,nlp,1800,,1
"""
"""On two nodes: b waits half an hour for the first to be empty, c behind it, and d never ran."""


POOLED = """
flavors: {{x: {}}}
queues: {{a: {{shares: {{x: {{nominal: 1}}}}}}}}
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.csv"
    path.write_text(JOBS)
    return path


def test_json_tells_waits_and_use_of_all_and_of_each_queue(jobs: Path) -> None:
    told = json.loads(answered(jobs, "--fixed-nodes", 2, "--format", "json"))

    assert (told["nodes"], told["gpus_per_node"], told["order"]) == (2, 8, "fifo")
    assert told["used_gpu_hours"] == 8 + 12 + 0.5
    assert told["provisioned_gpu_hours"] == 16 * 2
    assert told["utilisation"] == pytest.approx(20.5 / 32)
    assert [(q["queue"], q["jobs"], q["wait_p50_s"]) for q in told["queues"]] == [
        (None, 3, 1800.0),
        ("nlp", 2, 1800.0),
        ("vision", 1, 0.0),
    ]
    assert told["notes"] == ["1 job is left out: when they came, how long they ran or on what is not told"]


def test_text_ends_with_one_sentence_that_says_it_all(jobs: Path) -> None:
    text = answered(jobs, "--fixed-nodes", 2)

    assert "2 nodes x 8 GPUs, first come first served" in text
    assert text.splitlines()[-1] == (
        "3 jobs used 20 of 32 GPU-hours (64 %); half of them waited 30 min or less, the longest 30 min"
    )


def test_every_job_can_be_written_with_its_times_and_nodes(jobs: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.parquet"

    answered(jobs, "--fixed-nodes", 2, "--jobs-out", path)

    runs = pd.read_parquet(path).set_index("job_id")
    assert runs.loc["b", ["submit_s", "start_s", "end_s", "wait_s"]].tolist() == [1800, 3600, 7200, 1800]
    assert {job: nodes.tolist() for job, nodes in runs["nodes"].items()} == {"a": [0], "b": [0, 1], "c": [1]}
    assert runs["preemptions"].tolist() == [0, 0, 0]
    assert runs["queue"].tolist() == ["vision", "nlp", "nlp"]


def test_a_table_of_jobs_that_is_given_as_scenario_is_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    pd.DataFrame({"submit_s": [0.0], "duration_s": [60.0], "gpus": [1]}).to_parquet(path)

    with pytest.raises(SettingsError, match=r"is parquet, as tables of jobs are \(--jobs\), and a scenario is YAML"):
        read_scenario(path)


def test_a_scenario_is_simulated_by_its_quotas(jobs: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"

    told = json.loads(answered(jobs, "--scenario", scenario(tmp_path), "--format", "json", "--jobs-out", path))

    assert told["gpus"] == 24
    assert [(q["queue"], q["jobs"], q["never_started"]) for q in told["queues"]] == [
        (None, 3, 1),
        ("nlp", 2, 1),
        ("vision", 1, 0),
    ]
    runs = pd.read_parquet(path).set_index("job_id")
    assert runs["flavor"].tolist() == ["h100", None, "a100"]  # b may use 8 + 3 at most
    assert runs.loc["c", "wait_s"] == 0
    assert pd.isna(runs.loc["b", "start_s"])


def test_the_sample_is_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "sample.yaml"
    path.write_text(gyropilot("scenario", "sample", folder=tmp_path).stdout)

    done = gyropilot("scenario", "validate", "sample.yaml", folder=tmp_path)

    assert done.stdout == "sample.yaml is a scenario: 2 flavors, 96 GPUs, 2 queues\n"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("flavors: {x: 8}", "queues: field required"),
        ("flavors: {x: 8}\nqueues: {a: {shares: {y: {nominal: 1}}}}", "names y, no flavor; there are x"),
        ("flavors: {x: 8}\nqueues: {a: {shares: {x: {nominal: -1}}}}", "queues.a.shares.x.nominal: input should be"),
        ("flavors: {x: 8}\nqueues: {a: {share: {}}}", r"queues.a.share: no field is called so; did you mean shares\?"),
        ("flavors: {x: -8}\nqueues: {a: {shares: {x: {nominal: 1}}}}", "flavors.x has -8 GPUs"),
        ("flavors: [", "is not YAML: .*; `gyropilot scenario sample` prints one to begin with"),
        ("- flavors", "the file: input should be names .*; `gyropilot scenario sample` prints one to begin with"),
        (POOLED.format(10**19), "flavors.x: input should be less than or equal to 1000000000; give a number of GPUs"),
        (POOLED.format(8).replace("nominal: 1", "nominal: 9000000000000000000"), "nominal: input should be less than"),
        ("flavors: {x: 8, x: 9}", "is not YAML: x is told twice, last in line 1; keep one"),
        ("flavors: {x: 8}\nqueues: {2024: {shares: {x: {nominal: 1}}}}", "queues: 2024 is no word; put names such as"),
        (
            "flavors: 8\nqueues: {a: 3}",
            "flavors: input should be names with values, .*\nqueues.a: input should be names",
        ),
        (POOLED.format(8) + "faults: [{at_h: 1}]", "faults.0: kind: field required"),
        (POOLED.format(8) + "faults: {at_h: 1}", "faults: input should be a list"),
        (
            POOLED.format("{nodes: 1, hourly: {price_usd_per_gpu_hour: []}}"),
            "x.hourly.price_usd_per_gpu_hour: input should not be empty",
        ),
        (
            POOLED.format("{nodes: 1, price_usd_per_gpu_hour: 2, hourly: {price_usd_per_gpu_hour: [1, 3]}}"),
            "flavors.x tells price_usd_per_gpu_hour and hourly.price_usd_per_gpu_hour; leave one of them out",
        ),
    ],
)
def test_what_is_no_scenario_is_refused_with_its_place(told: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(told)

    with pytest.raises(SettingsError, match=why):
        read_scenario(path)


@pytest.mark.parametrize(
    ("told", "sentences"),
    [
        ("{nodes: 1, lead: 4}", ["flavors.x.lead: no field is called so; did you mean lead_s?"]),
        (
            "{max_nodes: -1, lead: 4}",
            [
                "flavors.x.nodes: field required",
                "flavors.x.max_nodes: input should be greater than or equal to 0; give at least 0 and at most "
                "1000000000 instead of -1",
                "flavors.x.lead: no field is called so; did you mean lead_s?",
            ],
        ),
        (
            "many",
            [
                "flavors.x: input should be a valid integer, unable to parse string as an integer; give a number of "
                "GPUs, or {nodes: N, max_nodes: M, ...}"
            ],
        ),
    ],
)
def test_each_wrong_field_of_a_flavor_is_one_sentence_and_named_as_it_was_written(
    told: str, sentences: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(POOLED.format(told))

    with pytest.raises(SettingsError) as refused:
        read_scenario(path)

    assert str(refused.value).splitlines()[1:] == sentences


@pytest.mark.parametrize(
    ("told", "step"),
    [
        ("{nodes: 1, lead_sigma: 4}", "give at least 0 and at most 3 instead of 4"),
        ("{nodes: 1, mean_time_between_failures_h: 0}", "give more than 0 instead of 0"),
        ("{nodes: 1, hourly: {usd_per_kwh: [1, -3]}}", "give at least 0 instead of -3"),
        ("{nodes: 1, max_nodes: -1}", "give at least 0 and at most 1000000000 instead of -1"),
        ("{nodes: 1, repair_h: .inf}", "give at least 0 and at most 8784 instead of inf"),
    ],
)
def test_who_gives_too_much_or_too_little_is_told_what_to_give(told: str, step: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(POOLED.format(told))

    with pytest.raises(SettingsError) as refused:
        read_scenario(path)

    assert str(refused.value).endswith(f"; {step}")


A_SERVICE = "services: [{{name: chat, queue: a, service_s: 1, load: {}}}]\n"
ONCE = "services.0: give either capacity_per_s or service_s: one follows from the other and concurrency"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            "prices: {egress_usd_per_gb: cheap}",
            "prices.egress_usd_per_gb: input should be a valid number, unable to parse string as a number; give a "
            "number of USD, zero or more, or {from-region: {to-region: USD}}",
        ),
        (
            "prices: {egress_usd_per_gb: {east: {west: -1}}}",
            "prices.egress_usd_per_gb.east.west: input should be greater than or equal to 0; give at least 0 "
            "instead of -1",
        ),
        (A_SERVICE.format("{per_s: 1}").replace("service_s: 1, ", ""), ONCE),
        (
            A_SERVICE.format("{per_s: -1}"),
            "services.0.load.per_s: input should be greater than or equal to 0; give at least 0 and at most "
            "1000000000000 instead of -1",
        ),
        (
            A_SERVICE.format("{file: a.csv, colum: n}"),
            "services.0.load.colum: no field is called so; did you mean column?",
        ),
        (
            A_SERVICE.format("{file: a.csv, per_s: 3}"),
            "services.0.load.per_s: does not go with what else is told there; leave one of them out",
        ),
        (
            A_SERVICE.format("40"),
            "services.0.load: input should be names with values, indented or in braces; give {per_s: RATE, days: D, "
            "...}, or {file: FILE, column: NAME}",
        ),
    ],
)
def test_what_is_wrong_with_egress_and_services_is_one_sentence_that_names_the_field_as_written(
    more: str, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(POOLED.format(8) + more)

    with pytest.raises(SettingsError) as refused:
        read_scenario(path)

    assert str(refused.value).splitlines()[1:] == [sentence]


def test_a_wrong_rule_of_fair_sharing_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(POOLED.format(8) + "fair_sharing: [least_share]\n")

    with pytest.raises(SettingsError) as refused:
        read_scenario(path)

    assert str(refused.value).splitlines()[1:] == [
        "fair_sharing.0: input should be 'less_than_or_equal_to_final_share' or 'less_than_initial_share'"
    ]


def test_a_table_without_queues_is_told_what_it_lacks(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.csv"
    jobs.write_text("submit_s,duration_s,gpus\n0,600,4\n")

    with pytest.raises(
        SettingsError,
        match=r"no queue is told are in one called all, .*give the table of jobs a column queue .* from vision, nlp",
    ):
        CliRunner().invoke(app, arguments(jobs, "--scenario", scenario(tmp_path)), catch_exceptions=False)


def test_jobs_of_queues_that_a_scenario_lacks_are_refused(jobs: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("flavors: {x: 8}\nqueues: {vision: {shares: {x: {nominal: 8}}}}")

    with pytest.raises(SettingsError, match=r"jobs name 1 queue that the scenario lacks \(nlp\); add it"):
        CliRunner().invoke(app, arguments(jobs, "--scenario", path), catch_exceptions=False)


def test_a_cluster_must_be_told_in_one_way(jobs: Path, tmp_path: Path) -> None:
    for options in ((), ("--fixed-nodes", 2, "--scenario", scenario(tmp_path))):
        with pytest.raises(SettingsError, match="either --scenario FILE or --fixed-nodes N"):
            CliRunner().invoke(app, arguments(jobs, *options), catch_exceptions=False)


@pytest.mark.parametrize(("option", "value"), [("--order", "fifo"), ("--gpus-per-node", 4)])
def test_what_is_told_of_a_plain_cluster_is_refused_beside_a_scenario(
    option: str, value: object, jobs: Path, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=f"{option} is of --fixed-nodes; leave it out"):
        CliRunner().invoke(
            app, arguments(jobs, "--scenario", scenario(tmp_path), option, value), catch_exceptions=False
        )


def test_every_job_can_be_written_as_csv(jobs: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"

    answered(jobs, "--fixed-nodes", 2, "--jobs-out", path)

    head, *rows = path.read_text().splitlines()
    assert head == "job_id,queue,gpus,held_gpus,submit_s,start_s,end_s,wait_s,preemptions,nodes"
    assert rows[1] == "b,nlp,12,12,1800.0,3600.0,7200.0,1800.0,0,0 1"


def test_every_job_of_every_pilot_can_be_written_as_csv(jobs: Path, steered: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"

    answered(jobs, "--scenario", steered, "--pilot", "hold,reactive", "--jobs-out", path)

    assert pd.read_csv(path).groupby("pilot").size().to_dict() == {"hold": 3, "reactive": 3}


def test_nothing_that_is_read_or_written_already_is_replaced(jobs: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    for options, why in (
        (("--jobs-out", jobs), "--jobs-out .* is also --jobs, which it would replace"),
        (("--jobs-out", both, "--out", both), "--jobs-out .* is also --out, which it would replace"),
        (("--jobs-out", tmp_path), "--jobs-out .* is a folder; give a file"),
    ):
        with pytest.raises(SettingsError, match=why):
            CliRunner().invoke(app, arguments(jobs, "--fixed-nodes", 2, *options), catch_exceptions=False)

    assert jobs.read_text() == JOBS


def test_a_job_that_fits_no_cluster_of_that_size_is_refused(jobs: Path) -> None:
    with pytest.raises(SettingsError, match="1 job needs more than the cluster's 8 GPUs, the largest 12"):
        CliRunner().invoke(app, arguments(jobs, "--fixed-nodes", 1), catch_exceptions=False)


def test_the_command_itself_says_what_is_wrong_and_ends_with_2(tmp_path: Path) -> None:
    done = gyropilot("simulate", "--jobs", "absent.csv", "--fixed-nodes", "2", folder=tmp_path)

    assert done.returncode == 2
    assert "absent.csv cannot be read: No such file or directory; give a parquet, CSV or SWF file" in done.stderr


def scenario(folder: Path) -> Path:
    """Two queues that share what they do not use, within limits."""
    path = folder / "scenario.yaml"
    path.write_text(
        """
flavors: {h100: 16, a100: 8}
queues:
  vision: {cohort: all, shares: {h100: {nominal: 8}}}
  nlp: {cohort: all, shares: {a100: {nominal: 8}, h100: {nominal: 8, borrowing_limit: 3}}}
"""
    )
    return path


def answered(jobs: Path, *options: object) -> str:
    done = CliRunner().invoke(app, arguments(jobs, *options), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def arguments(jobs: Path, *options: object) -> list[str]:
    return ["simulate", "--jobs", *map(str, (jobs, *options))]


STEERED = """
flavors:
  x: {nodes: 1, max_nodes: 6, gpus_per_node: 4, lead_s: 600}
queues:
  vision: {shares: {x: {nominal: 24}}}
  nlp: {shares: {x: {nominal: 24}}, waiting_usd_per_gpu_hour: 20}
prices: {waiting_usd_per_gpu_hour: 10}
"""


@pytest.fixture
def steered(tmp_path: Path) -> Path:
    path = tmp_path / "steered.yaml"
    path.write_text(STEERED)
    return path


def test_pilots_steer_the_same_jobs_side_by_side(jobs: Path, steered: Path) -> None:
    told = json.loads(answered(jobs, "--scenario", steered, "--pilot", "hold,reactive", "--bound", "--format", "json"))

    hold, reactive = told["pilots"]
    assert (hold["pilot"], reactive["pilot"]) == ("hold", "reactive")
    assert reactive["usd"] < hold["usd"]
    assert reactive["over_bound_percent"] == pytest.approx(100 * (reactive["usd"] / told["bound_usd"] - 1))
    assert told["bound_usd"] <= told["clairvoyant_plan_usd"] <= reactive["usd"]
    assert sum(hold["usd_by_kind"].values()) == pytest.approx(hold["usd"])
    assert hold["over_first_percent"][1] == 0
    assert [queue["queue"] for queue in hold["queues"]] == [None, "vision", "nlp"]


def test_no_pilot_pays_less_than_the_bound_where_an_outage_takes_nodes_that_always_cost(
    jobs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "outage.yaml"
    path.write_text(
        "flavors: {x: {nodes: 6, min_nodes: 6, max_nodes: 6, gpus_per_node: 4, lead_s: 600}}\n"
        "queues: {vision: {shares: {x: {nominal: 24}}}, nlp: {shares: {x: {nominal: 24}}}}\n"
        "prices: {waiting_usd_per_gpu_hour: 0.1}\n"
        "faults: [{kind: outage, at_h: 0.1, lasts_h: 24}]\n"
    )

    told = json.loads(answered(jobs, "--scenario", path, "--pilot", "hold", "--bound", "--format", "json"))

    assert told["bound_usd"] <= told["pilots"][0]["usd"]


def test_bursts_add_jobs_that_are_named_after_others(jobs: Path, steered: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "burst.yaml", tmp_path / "jobs.parquet"
    path.write_text(steered.read_text() + "faults: [{kind: burst, queue: nlp, at_h: 0, lasts_h: 2, times: 3}]\n")

    answered(jobs, "--scenario", path, "--pilot", "hold", "--jobs-out", out)

    ids = pd.read_parquet(out)["job_id"].tolist()
    assert sorted(ids) == ["a", "b", "b+1", "b+2", "c", "c+1", "c+2"]


def test_the_table_of_pilots_says_what_was_paid_and_what_nobody_can_stay_below(jobs: Path, steered: Path) -> None:
    text = answered(jobs, "--scenario", steered, "--pilot", "hold,reactive", "--bound")

    assert "over bound" in text
    assert "to hold" in text
    assert "all pilots met the same jobs and the same losses" in text
    assert "No pilot can pay less than" in text.splitlines()[-2]
    assert re.fullmatch(
        r"reactive is cheapest: [\d.]+ % less than hold \(too few days for an interval\); [\d,.]+ % over the bound",
        text.splitlines()[-1],
    )


def test_a_page_shows_what_pilots_did(jobs: Path, steered: Path, tmp_path: Path) -> None:
    path = tmp_path / "pilots.html"

    answered(jobs, "--scenario", steered, "--pilot", "hold,reactive", "--bound", "--format", "html", "--out", path)

    page = path.read_text()
    assert "<title>reactive is cheapest: " in page
    assert page.count('class="asked"') == 2 * 2 + 1  # wide and narrow, and the legend
    assert 'aria-label="Waits by queue"' in page


@pytest.mark.parametrize("steered_by_rules", [True, False])
def test_a_page_shows_what_became_of_jobs_without_pilots(jobs: Path, tmp_path: Path, steered_by_rules: bool) -> None:
    where = ("--scenario", scenario(tmp_path)) if steered_by_rules else ("--fixed-nodes", 2)

    page = answered(jobs, *where, "--format", "html")

    assert page.startswith("<!DOCTYPE html>")
    assert "<h1>3 jobs used " in page
    assert all(f'<th scope="row">{queue}</th>' in page for queue in ("all queues", "nlp", "vision"))


def test_jobs_of_every_pilot_can_be_written(jobs: Path, steered: Path, tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"

    answered(jobs, "--scenario", steered, "--pilot", "hold,reactive", "--jobs-out", path)

    frame = pd.read_parquet(path)
    assert frame.groupby("pilot").size().to_dict() == {"hold": 3, "reactive": 3}
    assert (frame["wait_s"].dropna() >= 0).all()


def test_a_pilot_that_does_not_exist_is_refused_with_those_that_do(jobs: Path, steered: Path) -> None:
    done = CliRunner().invoke(app, ["simulate", "--jobs", str(jobs), "--scenario", str(steered), "--pilot", "hal"])

    assert isinstance(done.exception, SettingsError)
    assert "no pilot 'hal'; --pilot takes hold, static, reactive" in str(done.exception)


def test_pilots_need_pools_to_steer(jobs: Path) -> None:
    done = CliRunner().invoke(app, ["simulate", "--jobs", str(jobs), "--fixed-nodes", "2", "--pilot", "hold"])

    assert isinstance(done.exception, SettingsError)
    assert "give --scenario FILE" in str(done.exception)


def test_a_pool_that_begins_beyond_its_limits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strange.yaml"
    path.write_text(STEERED.replace("max_nodes: 6", "max_nodes: 0"))

    with pytest.raises(SettingsError, match=r"flavors.x begins with 1 nodes, not with 0 to 0"):
        read_scenario(path)


def test_times_since_the_epoch_are_as_good_as_others(jobs: Path, steered: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.csv"
    frame = pd.read_csv(jobs)
    frame["submit_s"] += 1_699_999_800
    frame.to_csv(late, index=False)
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]

    paid = [
        json.loads(answered(file, "--scenario", steered, "--pilot", "reactive", "--format", "json", "--jobs-out", path))
        for file, path in zip((jobs, late), paths, strict=True)
    ]

    assert paid[0]["pilots"][0]["usd"] == pytest.approx(paid[1]["pilots"][0]["usd"])
    one, other = (pd.read_parquet(path) for path in paths)
    assert (other["start_s"] - one["start_s"]).dropna().tolist() == [1_699_999_800.0] * int(one["start_s"].count())


def test_where_nothing_is_paid_nothing_is_compared(tmp_path: Path) -> None:
    jobs, scenario = tmp_path / "jobs.csv", tmp_path / "free.yaml"
    jobs.write_text("queue,submit_s,duration_s,gpus\nq,0,600,4\n")
    scenario.write_text("flavors: {h100: 8}\nqueues: {q: {shares: {h100: {nominal: 8}}}}\n")

    told = json.loads(answered(jobs, "--scenario", scenario, "--pilot", "hold", "--format", "json"))

    assert told["pilots"][0]["usd"] == 0
    assert told["pilots"][0]["over_first_percent"] == [None, None, None]
    assert "hold" in answered(jobs, "--scenario", scenario, "--pilot", "hold", "--bound")


def test_a_queue_without_jobs_lends_its_quota(tmp_path: Path) -> None:
    jobs, scenario = tmp_path / "jobs.csv", tmp_path / "lent.yaml"
    jobs.write_text("queue,submit_s,duration_s,gpus\nq,0,600,16\n")
    scenario.write_text(
        "flavors: {h100: 16}\n"
        "queues:\n"
        "  q: {cohort: all, shares: {h100: {nominal: 8}}}\n"
        "  idle: {cohort: all, shares: {h100: {nominal: 8}}}\n"
    )

    told = json.loads(answered(jobs, "--scenario", scenario, "--format", "json"))

    assert told["queues"][0]["never_started"] == 0


@pytest.mark.parametrize("pilots", ["", "hold,", "hold,hold"])
def test_pilots_are_named_once_each(jobs: Path, steered: Path, pilots: str) -> None:
    done = CliRunner().invoke(app, ["simulate", "--jobs", str(jobs), "--scenario", str(steered), "--pilot", pilots])

    assert isinstance(done.exception, SettingsError)
    assert "each once, parted by commas" in str(done.exception)


def test_figures_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "strange.yaml"
    for told, word in (("lead_s: .inf", "lead_s"), ("watts_idle_per_gpu: 60", "0 W busy and 60 W idle")):
        path.write_text(STEERED.replace("lead_s: 600", told))
        with pytest.raises(SettingsError, match=word):
            read_scenario(path)


def test_the_page_on_the_simulated_cluster_can_be_followed_as_written(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "simulator.md").read_text()
    jobs, scenario = tmp_path / "jobs.parquet", tmp_path / "cluster.yaml"
    scenario.write_text(page.split("```yaml\n")[1].split("```")[0])
    gyropilot("traces", "generate", "helios", "--days", "1", "--out", str(jobs), folder=tmp_path)

    told = json.loads(
        answered(jobs, "--scenario", scenario, "--pilot", "reactive,newsvendor", "--bound", "--format", "json")
    )

    assert [pilot["pilot"] for pilot in told["pilots"]] == ["reactive", "newsvendor"]
    assert all(pilot["over_bound_percent"] > 0 for pilot in told["pilots"])


def test_the_page_s_day_of_the_environment_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "simulator.md").read_text()

    exec(compile(page.split("```python\n")[1].split("```")[0], "docs/simulator.md", "exec"), {})

    assert "a day cost" in capsys.readouterr().out


def test_the_page_s_environment_with_surprises_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "simulator.md").read_text()
    block = page.split("```python\n")[2].split("```")[0]

    exec(compile(f"{block}\nenv.reset(seed=0)\nprint(env.unwrapped.task.surprises)", "docs/simulator.md", "exec"), {})

    assert "outages=0.5, stuck=0.5, bursts=1.0, biases=0.2, blackouts=0.5" in capsys.readouterr().out
