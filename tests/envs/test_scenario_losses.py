"""What a scenario may tell of nodes that are lost, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from envs.interruptions import Interruptions
from envs.scenario import Scenario, read_scenario, refuse_changes, refuse_unsteered
from envs.world import Weather
from gyropilot.errors import SettingsError


def told(folder: Path, pool: str, more: str = "") -> Scenario:
    """A scenario with one pool of four nodes."""
    path = folder / "cluster.yaml"
    path.write_text(f"flavors: {{x: {{nodes: 4{pool}}}}}\nqueues: {{a: {{shares: {{x: {{nominal: 32}}}}}}}}\n{more}")
    return read_scenario(path)


def test_losses_are_those_that_are_told(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("t_s,nodes\n600,2\n")

    found = told(tmp_path, ", market: spot, notice_s: 30, interruptions: losses.csv", "checkpoint_write_s: 20")

    (pool,) = found.pools
    assert pool.notice_s == 30.0
    assert pool.interruptions == Interruptions((600.0,), nodes=(2,), path=tmp_path / "losses.csv")
    assert found.world.checkpoint_write_s == 20.0
    assert found.load_files(tmp_path) == {"the interruptions of x": tmp_path / "losses.csv"}
    harm = Weather.drawn(found.pools, 3, np.random.default_rng(0)).harm
    assert harm is not None
    assert harm.recorded.tolist() == [[0, 0, 2]]


def test_a_recording_may_have_a_clock_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("t_s,nodes\n600,2\n90000,1\n86400,3\n")

    found = told(tmp_path, ", market: spot, interruptions: {file: losses.csv, from_h: 24, at_h: 2}")
    later = told(tmp_path, ", market: spot, interruptions: {file: losses.csv, at_h: 2}")

    assert found.pools[0].interruptions == Interruptions(
        (10_800.0, 7_200.0), nodes=(1, 3), path=tmp_path / "losses.csv"
    )
    assert later.pools[0].interruptions == Interruptions(
        (7_800.0, 97_200.0, 93_600.0), nodes=(2, 1, 3), path=tmp_path / "losses.csv"
    )
    assert found.load_files(tmp_path) == {"the interruptions of x": tmp_path / "losses.csv"}


def test_failures_are_those_that_are_told(tmp_path: Path) -> None:
    found = told(tmp_path, ", market: reserved, mean_time_between_failures_h: 1000, repair_h: 6")

    assert (found.pools[0].mean_time_between_failures_h, found.pools[0].repair_h) == (1_000.0, 6.0)


def test_nothing_else_is_lost_unless_told(tmp_path: Path) -> None:
    found = told(tmp_path, "")

    assert not found.pools[0].troubled
    assert Weather.drawn(found.pools, 3, np.random.default_rng(0)).harm is None


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        (
            ", notice_s: 300",
            "flavors.x.notice_s: input should be less than 300; give at least 0 and less than 300 instead of 300: "
            "nodes go within the step of 300 s at whose beginning they are told to",
        ),
        (", notice_s: -1", "flavors.x.notice_s: input should be greater than or equal to 0"),
        (", mean_time_between_failures_h: 0", "mean_time_between_failures_h: input should be greater than 0"),
        (", interruptions: 3", "flavors.x.interruptions: give the name of a file beside this one"),
        (", interruptions: none.csv", "none.csv cannot be read: No such file or directory; give a table with the"),
        (", interruptions: {file: 3}", "flavors.x.interruptions.file: give the name of a file beside this one"),
        (", interruptions: {from_h: 3}", "flavors.x.interruptions.file: field required"),
        (
            ", interruptions: {file: l.csv, from_h: 1}",
            "l.csv tells nothing of x after its hour 0.166667; give an interruptions.from_h that is not more",
        ),
        (", interruptions: l.csv, interruptions_per_day: 1", "x tells interruptions and interruptions_per_day; leave"),
        (", interruptions: l.csv, mass_loss_share: 1", "flavors.x tells interruptions and mass_loss_share; leave one"),
        (", repair_h: 3", "flavors.x.repair_h is of nodes that fail; tell mean_time_between_failures_h too"),
        (
            ", mean_time_between_failures_h: 9, repair_h: 3",
            "flavors.x.repair_h is of own nodes, and its market is on-demand: whoever buys one asks for another when",
        ),
        (", notice: 3", r"flavors.x.notice: no field is called so; did you mean notice_s\?"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, pool: str, why: str) -> None:
    (tmp_path / "l.csv").write_text("t_s,nodes\n600,2\n")

    with pytest.raises(SettingsError, match=why):
        told(tmp_path, pool)


def test_fewer_gpus_than_none_are_refused_wherever_they_are_told() -> None:
    with pytest.raises(ValidationError, match="has -8 GPUs; give zero or more"):
        Scenario.model_validate({"flavors": {"x": -8}, "queues": {"a": {"shares": {"x": {"nominal": 1}}}}})


@pytest.mark.parametrize("pool", [", interruptions: l.csv", ", mean_time_between_failures_h: 900"])
def test_who_steers_nothing_is_told_that_nodes_are_lost_to_pilots(tmp_path: Path, pool: str) -> None:
    (tmp_path / "l.csv").write_text("t_s,share\n600,0.5\n")

    with pytest.raises(SettingsError, match="nodes of x are lost to whoever steers it, as recorded or by failing; add"):
        refuse_unsteered(told(tmp_path, pool))


def test_days_that_begin_anew_have_no_recorded_interruptions(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("t_s,share\n600,0.5\n")

    with pytest.raises(
        SettingsError, match="train cuts jobs into days that begin anew, so recorded interruptions have"
    ):
        refuse_changes(told(tmp_path, ", interruptions: l.csv"), "train")
    refuse_changes(told(tmp_path, ", mean_time_between_failures_h: 900, notice_s: 30"), "train")
