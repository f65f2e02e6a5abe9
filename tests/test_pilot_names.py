"""What a pilot's name on the command line stands for."""

import re
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from agents.pilots import make_pilot
from agents.pilots.knobs import KNOBS
from gyropilot.errors import SettingsError
from gyropilot.pilot_names import asked_pilots, settings_of, shipped, shipped_pilots
from gyropilot.settings import PilotSettings


def test_a_plain_name_has_its_default_settings() -> None:
    assert settings_of("reactive") == PilotSettings(name="reactive")


def test_a_file_gives_its_settings_to_the_pilot_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "gyropilot.yaml"
    path.write_text("pilot: {name: reactive, scale_down_after: 45m}\n")

    assert settings_of(f"reactive@{path}") == PilotSettings(name="reactive", scale_down_after=timedelta(minutes=45))
    with pytest.raises(SettingsError, match="has settings of the pilot reactive; take reactive@"):
        settings_of(f"newsvendor@{path}")


def test_a_file_that_does_not_say_whose_settings_it_holds_is_told_where_to_say_it(tmp_path: Path) -> None:
    path = tmp_path / "gyropilot.yaml"
    path.write_text("pilot: {threshold_target: 0.6}\n")

    with pytest.raises(SettingsError, match=r"does not say whose settings .*; write pilot\.name: threshold into it$"):
        settings_of(f"threshold@{path}")
    assert settings_of(f"newsvendor@{path}").name == "newsvendor"


def test_a_file_that_is_not_there_or_holds_no_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "strange.yaml"
    path.write_text("pilot: {static_quantile: 7}\n")

    with pytest.raises(SettingsError, match=r"pilot\.static_quantile got 7"):
        settings_of(f"newsvendor@{path}")
    for absent in (tmp_path / "absent.yaml", ""):
        with pytest.raises(SettingsError, match="no settings file at"):
            settings_of(f"newsvendor@{absent}")


@pytest.mark.parametrize("pilot", shipped_pilots())
def test_every_shipped_file_is_of_a_pilot_and_says_what_was_tuned(pilot: str) -> None:
    settings = shipped(pilot)

    assert settings == settings_of(f"{pilot}:tuned")
    assert make_pilot(settings).name == pilot
    assert settings.model_fields_set == {"name", *(knob.name for knob in KNOBS[pilot])}


@pytest.mark.parametrize("pilot", shipped_pilots())
def test_every_shipped_file_says_what_it_is_worth_as_tune_would(pilot: str) -> None:
    lines = files("agents.pilots").joinpath("tuned", f"{pilot}.yaml").read_text(encoding="utf-8").splitlines()
    told = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))

    assert re.search(r" on 11 held-out windows \(90 %: [\d.]+( % (less|more))? to [\d.]+ % (less|more)\)", told)


def test_rivals_are_shipped_tuned() -> None:
    assert {"reactive", "threshold", "newsvendor"} <= set(shipped_pilots())


def test_whoever_is_not_shipped_tuned_is_refused_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match=r"no tuned settings of 'hold' are shipped; there are .*newsvendor"):
        settings_of("hold:tuned")


@pytest.mark.parametrize("told", ["hal", "hal:tuned", "hal@x.yaml", "newsvendor:", "newsvendor:best", ""])
def test_a_name_of_nobody_is_refused_with_what_there_is(told: str) -> None:
    with pytest.raises(SettingsError, match=r"no pilot .*; --pilot takes hold, static.* with :tuned or @FILE"):
        settings_of(told)


def test_a_pilot_may_be_asked_for_with_several_settings_but_not_twice_with_the_same() -> None:
    assert list(asked_pilots("reactive, reactive:tuned")) == ["reactive", "reactive:tuned"]
    with pytest.raises(SettingsError, match="names one twice"):
        asked_pilots("hold,hold")
