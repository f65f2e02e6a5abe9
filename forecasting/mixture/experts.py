"""Who is listened to, how much before anything was learnt, and how fast that changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from forecasting.demand.seen import DAY_S, seen_s, some_lines
from forecasting.forecasters.anomaly import Anomaly
from forecasting.forecasters.forest import Forest
from forecasting.forecasters.jobs import Jobs
from forecasting.forecasters.outlook import Outlook, in_view
from forecasting.forecasters.profile import Profile
from forecasting.forecasters.ridge import Ridge
from forecasting.forecasters.smoothing import HOUR, Smoothing, in_hours
from forecasting.mixture.aggregation import Pace
from forecasting.protocol import Forecaster
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Window

_log = logging.getLogger(__name__)

EXPERTS: tuple[type[Forecaster], ...] = (Forest, Jobs, Anomaly, Profile, Ridge, Smoothing)
"""Of every installation; with the extra `foundation` there is one more."""

EXTRA = "fracast"

PRIOR: dict[str, float] = {Anomaly.name: 2.0, Smoothing.name: 2.0}
PRIOR_OF_FEW: dict[str, float] = {Anomaly.name: 3.0, Smoothing.name: 6.0}
PRIOR_OF_YOUNG = PRIOR_OF_FEW | {Smoothing.name: 100.0}
"""How much more than others some are listened to at first; and where lines are few and steps are hours: services,
whose first days tell little of whom to listen to."""

YOUNG_DAYS = 7.0
"""Twice as old is a sixteenth as young."""

HEARD: dict[str, Callable[[Window, timedelta], bool]] = {Outlook.name: in_view, Smoothing.name: in_hours}
"""Windows about which some are listened to; the others about all."""

LINE_DAYS_A_VOICE = 12.0
MOST_VOICES = 100.0
LEAST_VOICES = 0.5
FEW_LINES = 4
"""The forest counts as one more expert for each of so many days of a line that it could learn from: it is of lines
that are alike, and so few are not."""

LEAST_OUTLOOK = 2.0
OUTLOOK_A_FOREST = 0.4
"""The foundation model counts as this share of the forest: it knows other series, the forest these."""

RATE = 6.0
RATE_OF_YOUNG = 2.0
LEAST_RATE = 0.5
LINE_DAYS_SETTLED = 200.0
OWN_AFTER = 50.0
"""A day of one service is learnt from fast, unless it is one of its first; where the forest could learn from many days,
luck would teach more."""


def installed() -> tuple[type[Forecaster], ...]:
    """Whoever is. An extra that is there and broken is left out, and that is said."""
    if find_spec(EXTRA) is None:
        return EXPERTS
    try:
        import_module(EXTRA)
    except (ImportError, OSError) as problem:
        _say(f"forecasts go on without the foundation model, which cannot be loaded: {problem}")
        return EXPERTS
    return (*EXPERTS, Outlook)


@cache
def _say(sentence: str) -> None:
    """In the log, once: forecasters are made at each fit, and for each of many backtests."""
    _log.warning("%s", sentence)


def prior(names: Sequence[str], windows: Sequence[Window], history: DemandHistory) -> Floats:
    """(E, W, 1) how much each is listened to before anything was learnt; 0: never."""
    others = max(0.0, 1 - FEW_LINES / max(1, _queues(history)))
    voices = float(np.clip(others * line_days(history) / LINE_DAYS_A_VOICE, LEAST_VOICES, MOST_VOICES))
    known = _usual(history) | {Forest.name: voices, Outlook.name: max(LEAST_OUTLOOK, OUTLOOK_A_FOREST * voices)}
    shares = np.array([known.get(name, 1.0) for name in names])[:, None, None]
    heard = np.array([[name not in HEARD or HEARD[name](w, history.step) for w in windows] for name in names])
    found: Floats = np.where(heard[..., None], shares, 0.0)
    return found


def pace(history: DemandHistory) -> Pace:
    """How fast shares follow losses. Chosen with `prior` on the weeks before the last of six traces."""
    settled, young = line_days(history) / LINE_DAYS_SETTLED, youth(history)
    rate = young * RATE_OF_YOUNG + (1 - young) * RATE / (1 + settled**2)
    return Pace(rate=max(LEAST_RATE, rate), own_after=OWN_AFTER)


def youth(history: DemandHistory) -> float:
    """1 of a few services that are days old, towards 0 as they age; 0 of others."""
    if not _few_services(history):
        return 0.0
    days = line_days(history) / max(1, _queues(history))
    return min(1.0, YOUNG_DAYS / max(days, 1e-9)) ** 4


def _usual(history: DemandHistory) -> dict[str, float]:
    """Of experts who say as much about a day of one line as about many."""
    if not _few_services(history):
        return PRIOR
    young = youth(history)
    return {name: young * PRIOR_OF_YOUNG[name] + (1 - young) * share for name, share in PRIOR_OF_FEW.items()}


def _few_services(history: DemandHistory) -> bool:
    return _queues(history) <= FEW_LINES and history.step >= HOUR


def _queues(history: DemandHistory) -> int:
    return sum(line.queue != ALL_QUEUES for line in history.lines)


def line_days(history: DemandHistory) -> float:
    """Days that were seen of queues, added up."""
    queues = [row for row, line in enumerate(history.lines) if line.queue != ALL_QUEUES]
    return float(seen_s(some_lines(history, queues)).sum()) / DAY_S
