"""What may be tuned of each pilot: settings that are there, and values that they take."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.pilots import ALL_PILOTS
from agents.pilots.knobs import KNOBS, Knob, Scale
from gyropilot.settings import PilotSettings

TUNABLE = [(pilot, knob) for pilot, knobs in KNOBS.items() for knob in knobs]


def test_every_pilot_says_what_may_be_tuned_and_hold_has_nothing() -> None:
    assert {pilot.name for pilot in ALL_PILOTS} <= set(KNOBS)
    assert KNOBS["hold"] == ()


@pytest.mark.parametrize(("pilot", "knob"), TUNABLE, ids=lambda each: getattr(each, "name", each))
@given(place=st.floats(-0.5, 1.5))
def test_every_place_is_a_setting(pilot: str, knob: Knob, place: float) -> None:
    settings = PilotSettings.model_validate({"name": pilot, knob.name: knob.at(place)})

    assert getattr(settings, knob.name) == knob.at(place)
    assert type(getattr(settings, knob.name)) is type(knob.at(place))


@pytest.mark.parametrize(("pilot", "knob"), TUNABLE, ids=lambda each: getattr(each, "name", each))
def test_the_default_setting_is_among_those_that_are_tried(pilot: str, knob: Knob) -> None:
    default = getattr(PilotSettings.model_validate({"name": pilot}), knob.name)

    assert knob.at(knob.place(default)) == default


@pytest.mark.parametrize(
    ("knob", "place", "value"),
    [
        (Knob("x", 0, 10), 0.25, 2.5),
        (Knob("x", 1, 100, Scale.LOG), 0.5, 10.0),
        (Knob("x", 0, 32, Scale.INTEGER), 0.5, 16),
        (Knob("x", 5, 180, Scale.MINUTES), 0.5, timedelta(minutes=30)),
        (Knob("x", 5, 180, Scale.MINUTES), 7.0, timedelta(minutes=180)),
        (Knob("x", 0, 10), -1.0, 0.0),
    ],
)
def test_scales_lay_values_out(knob: Knob, place: float, value: float | timedelta) -> None:
    assert knob.at(place) == value
    assert knob.at(knob.place(value)) == value
