"""What a pilot's name on the command line stands for.

`newsvendor` has its default settings, `newsvendor:tuned` those that come with this program (agents/pilots/tuned), and
`newsvendor@FILE` those of a settings file: the one that `gyropilot tune` wrote, or the one that a cluster is run with.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import get_args

from gyropilot import configuration
from gyropilot.errors import SettingsError
from gyropilot.settings import PilotSettings

TUNED = ":tuned"
KNOWN: tuple[str, ...] = get_args(PilotSettings.model_fields["name"].annotation)


def asked_pilots(told: str) -> dict[str, PilotSettings]:
    """Settings by what was asked for, parted by commas. Raises SettingsError for what is not there, or told twice."""
    names = [name.strip() for name in told.split(",")]
    if len(set(names)) < len(names):
        raise SettingsError(f"--pilot {told} names one twice; {_takes()}")
    return {name: settings_of(name) for name in names}


def settings_of(told: str) -> PilotSettings:
    """Of one pilot, by what was asked for."""
    name, at, file = told.partition("@")
    plain = name if at else name.removesuffix(TUNED)
    if plain not in KNOWN:
        raise SettingsError(f"no pilot {plain!r}; {_takes()}")
    if at:
        return _from_file(plain, Path(file))
    return shipped(plain) if name.endswith(TUNED) else PilotSettings.model_validate({"name": plain})


def shipped(pilot: str) -> PilotSettings:
    """The settings that come with this program. Raises SettingsError where the pilot has none."""
    known = _shipped_files()
    if pilot not in known:
        raise SettingsError(f"no tuned settings of {pilot!r} are shipped; there are {', '.join(known)}")
    with as_file(known[pilot]) as path:
        return PilotSettings.model_validate(configuration.read_file(path)["pilot"])


def shipped_pilots() -> list[str]:
    """Of which tuned settings come with this program."""
    return list(_shipped_files())


def _shipped_files() -> dict[str, Traversable]:
    found = files("agents.pilots").joinpath("tuned").iterdir()
    return {Path(each.name).stem: each for each in sorted(found, key=lambda each: each.name)}


def _from_file(pilot: str, path: Path) -> PilotSettings:
    if pilot == "learned" and not path.is_file():
        return PilotSettings(name="learned", network=path)
    found = configuration.load(path).pilot
    if found.name != pilot and "name" not in found.model_fields_set:
        raise SettingsError(
            f"{path} does not say whose settings it holds, which are then {found.name}'s; write pilot.name: {pilot} "
            "into it"
        )
    if found.name != pilot:
        raise SettingsError(f"{path} has settings of the pilot {found.name}; take {found.name}@{path}")
    return found


def _takes() -> str:
    return (
        f"--pilot takes {', '.join(KNOWN)}, each once, parted by commas, "
        f"with {TUNED} or @FILE behind a name for settings that are not the default ones"
    )
