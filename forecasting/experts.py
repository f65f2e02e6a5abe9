"""Who is listened to, how much before anything was learnt, and how fast that changes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import numpy as np

from forecasting.aggregation import Pace
from forecasting.anomaly import Anomaly
from forecasting.bands import DAY_S, seen_s, some_lines
from forecasting.forest import Forest
from forecasting.jobs import Jobs
from forecasting.outlook import Outlook, in_view
from forecasting.profile import Profile
from forecasting.protocol import Forecaster
from forecasting.ridge import Ridge
from forecasting.seasonal_naive import SeasonalNaive
from gyropilot.domain import ALL_QUEUES, DemandHistory, Floats, Window

_log = logging.getLogger(__name__)

EXPERTS: tuple[type[Forecaster], ...] = (Forest, Jobs, Anomaly, Profile, Ridge, SeasonalNaive)
"""Of every installation; with the extra `foundation` there is one more."""

EXTRA = "fracast"

PRIOR: dict[str, float] = {Anomaly.name: 2.0}
"""How much more than others some are listened to at first."""

LINE_DAYS_A_VOICE = 12.0
MOST_VOICES = 100.0
LEAST_VOICES = 0.5
"""The forest counts as one more expert for each of so many days of a line that it could learn from."""

LEAST_OUTLOOK = 2.0
OUTLOOK_A_FOREST = 0.4
"""The foundation model counts as this share of the forest: it knows other series, the forest these."""

RATE = 6.0
LEAST_RATE = 0.5
LINE_DAYS_SETTLED = 200.0
OWN_AFTER = 50.0
"""A day of one service is learnt from fast; where the forest could learn from many days, luck would teach more."""


def installed() -> tuple[type[Forecaster], ...]:
    """Whoever is. An extra that is there and broken is left out, and that is said."""
    if find_spec(EXTRA) is None:
        return EXPERTS
    try:
        import_module(EXTRA)
    except (ImportError, OSError) as problem:
        _log.warning("forecasts go on without the foundation model, which cannot be loaded: %s", problem)
        return EXPERTS
    return (*EXPERTS, Outlook)


def prior(names: Sequence[str], windows: Sequence[Window], history: DemandHistory) -> Floats:
    """(E, W, 1) how much each is listened to before anything was learnt: 0 where it says nothing."""
    voices = float(np.clip(line_days(history) / LINE_DAYS_A_VOICE, LEAST_VOICES, MOST_VOICES))
    known = PRIOR | {Forest.name: voices, Outlook.name: max(LEAST_OUTLOOK, OUTLOOK_A_FOREST * voices)}
    shares = np.array([known.get(name, 1.0) for name in names])[:, None, None]
    silent = np.array([[name == Outlook.name and not in_view(w) for w in windows] for name in names])
    heard: Floats = np.where(silent[..., None], 0.0, shares)
    return heard


def pace(history: DemandHistory) -> Pace:
    """How fast shares follow losses. Chosen with `prior` on the weeks before the last of six traces."""
    settled = line_days(history) / LINE_DAYS_SETTLED
    return Pace(rate=max(LEAST_RATE, RATE / (1 + settled**2)), own_after=OWN_AFTER)


def line_days(history: DemandHistory) -> float:
    """Days that were seen of queues, added up."""
    queues = [row for row, line in enumerate(history.lines) if line.queue != ALL_QUEUES]
    return float(seen_s(some_lines(history, queues)).sum()) / DAY_S
