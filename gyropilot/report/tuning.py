"""Tuned settings as a settings file that says where they are from, and whether they are worth having."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import numpy as np
import yaml

from envs.tuning import Tuned, default_settings
from envs.windows import CHARGED_S, WARM_UP_S, Ground, Window
from envs.words import counted
from envs.workloads import DAY_S
from gyropilot.report.words import less_or_more, within
from gyropilot.settings import PilotSettings

WIDTH = 118


def to_yaml(found: Tuned, command: str) -> str:
    """A `pilot:` section, under what it took and what came of it. What it does not name was not tuned."""
    told = [*_how(found), verdict(found)]
    if found.settings != found.found.settings:
        told.append(f"These are the default settings. What was found: {json.dumps(_plain(found, is_found=True))}")
    wrapped = [line for each in told for line in textwrap.wrap(each, WIDTH - 2, subsequent_indent="  ")]
    lines = [f"Settings of the pilot {found.pilot}, found by", f"  {command}", *wrapped]
    section = {"pilot": {"name": found.pilot, **_plain(found, is_found=False)}}
    return "".join(f"# {line}\n" for line in lines) + yaml.safe_dump(section, sort_keys=False)


def verdict(found: Tuned) -> str:
    """What tuning brought, in one sentence or two."""
    change = found.change
    there = f"on {_windows(found.held_out, 'held-out ')}{within(change.low, change.high)}"
    if found.found.settings == default_settings(found.pilot):
        return f"Nothing was found that is better than the default settings of {found.pilot}."
    trained = f"{_less(found.training_percent)} where they were found"
    if not change.helps:
        return (
            f"Tuning did not help: what was found pays {trained}, but {_less(change.mid)} {there}; "
            "more days per evaluation may."
        )
    sure = "" if change.is_sure else ", which is not sure"
    return f"Tuned settings of {found.pilot} pay {_less(change.mid)} than the default ones {there}{sure}; {trained}."


def _less(percent: float) -> str:
    if np.isnan(percent):
        return "what cannot be compared"
    return less_or_more(percent)


def _how(found: Tuned) -> list[str]:
    effort, grounds = found.effort, list(dict.fromkeys(window.ground for window in found.training))
    interrupted = f" of {effort.budget}, then interrupted" if found.found.interrupted else ""
    evaluations = f"{found.found.evaluations} evaluations{interrupted}"
    charged = f"{WARM_UP_S / DAY_S:g} day that is not charged and {CHARGED_S / DAY_S:g} that are"
    return [
        *(_where(found, ground) for ground in grounds),
        f"CMA-ES, {evaluations}, seed {effort.seed}, forecaster {effort.forecaster}. Each window has {charged}; all "
        "candidates met the same jobs and the same weather.",
    ]


def _where(found: Tuned, ground: Ground) -> str:
    tuned_on, judged_on = (
        [window for window in windows if window.ground is ground] for windows in (found.training, found.held_out)
    )
    jobs, first_s = int((ground.jobs.submit_s < ground.until_s).sum()), float(ground.jobs.submit_s.min())
    days = (ground.until_s - first_s) / DAY_S
    return (
        f"{ground.name}: {counted(jobs, 'job')} of {days:.1f} days; {_windows(tuned_on)} to tune by, "
        f"{len(judged_on)} held out"
    )


def _windows(some: Sequence[Window], which: str = "") -> str:
    return f"{len(some)} {which}window{'' if len(some) == 1 else 's'}"


def _plain(found: Tuned, *, is_found: bool) -> dict[str, object]:
    """The settings as a settings file holds them."""
    settings = found.found.settings if is_found else found.settings
    whole = PilotSettings.model_validate({"name": found.pilot, **settings})
    return {name: value for name, value in json.loads(whole.model_dump_json()).items() if name in settings}
