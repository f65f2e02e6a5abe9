"""A fitted forecaster as a file, so that a restart needs no fit; refused where it is not the one that is wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from forecasting.demand.calendar import place_of
from forecasting.held import Held
from forecasting.protocol import Forecaster
from forecasting.store import REMEDY, load, nested, number, save
from gyropilot import __version__
from gyropilot.errors import ForecastError


@dataclass(frozen=True, slots=True)
class Fitted:
    """A forecaster, and what it was fitted on."""

    forecaster: Forecaster
    at: datetime
    step: timedelta  # of the history
    model: str  # as in forecast.model
    cohorts: Held = field(default_factory=Held)


def keep(fitted: Fitted, path: Path) -> None:
    """Writes it to `path`, or leaves the file there as it was. Raises ForecastError."""
    told = {
        "model": fitted.model,
        "versions": _versions(),
        "fitted_at_s": fitted.at.timestamp(),
        "step_s": fitted.step.total_seconds(),
        "forecaster": fitted.forecaster.state(),
        "cohorts": fitted.cohorts.state(),
    }
    save(told, path)


def kept(path: Path, blank: Forecaster, model: str, step: timedelta) -> Fitted:
    """What `keep` wrote to `path`. Raises ForecastError unless it is of this model, versions, step and place."""
    state = load(path)
    if state.get("model") != model:
        raise _refused(path, f"holds forecast.model {state.get('model')}, {model} is wanted")
    if state.get("versions") != _versions():
        raise _refused(path, f"was written by {_spoken(state.get('versions'))}, this is {_spoken(_versions())}")
    if number(state, "step_s") != step.total_seconds():
        raise _refused(path, f"was learnt in steps of {number(state, 'step_s'):g} s, now {step.total_seconds():g}")
    try:
        forecaster = type(blank).restored(nested(state, "forecaster"))
        fitted_at = datetime.fromtimestamp(number(state, "fitted_at_s"), UTC)
        cohorts = Held.restored(nested(state, "cohorts"))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as problem:
        raise _refused(path, f"is no state of {model} ({problem})") from problem
    if place_of(forecaster) != place_of(blank):
        raise _refused(path, f"was learnt by the clocks of {place_of(forecaster)}, now {place_of(blank)}")
    return Fitted(forecaster, fitted_at, step, model, cohorts)


def _versions() -> dict[str, str]:
    """Of whatever a state may depend on."""
    return {"gyropilot": __version__, "numpy": np.__version__.split(".")[0]}


def _spoken(versions: object) -> str:
    if not isinstance(versions, dict):
        return "an unknown version"
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _refused(path: Path, why: str) -> ForecastError:
    return ForecastError(f"{path} {why}; {REMEDY}")
