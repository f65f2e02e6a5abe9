"""Courses of demand over the hours ahead; see `agents.pilots.outlook`."""

from __future__ import annotations

import numpy as np

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def courses(
    now: float, come: float, foretold: Floats, horizons_hours: Floats, age_hours: float, at_hours: Floats
) -> Floats:
    """(K, N) GPUs at `at_hours` (N,) from now, from what is asked for `now` to what is `foretold` (H, K).

    That was `age_hours` ago, for `horizons_hours` (H,) from then on; `come` has since what stays. Linear between
    horizons that are still to come, and held after the last.
    """
    found = np.empty((foretold.shape[1], len(at_hours)))
    ahead_hours = horizons_hours - age_hours
    for n in range(len(at_hours)):
        after = np.searchsorted(ahead_hours, at_hours[n], side="right")
        known = after > 0 and ahead_hours[after - 1] > 0
        begin_hours = ahead_hours[after - 1] if known else 0.0
        for k in range(len(found)):
            gpus = np.maximum(0.0, foretold[after - 1, k] + come) if known else now
            if after < len(ahead_hours):
                change = np.maximum(0.0, foretold[after, k] + come) - gpus
                gpus = change / (ahead_hours[after] - begin_hours) * (at_hours[n] - begin_hours) + gpus
            found[k, n] = gpus
    return found


@compiled
def servable(
    demand: Floats, stopped_running: float, stopped_pending: float, admitted: float, share: float, stranded: float
) -> Floats:
    """(K, N) GPUs of a `share` of what may run of `demand`, and those that are `stranded`.

    Queues that are stopped start nothing, the others what is `admitted` of them.
    """
    found = np.empty_like(demand)
    for k in range(len(demand)):
        for n in range(demand.shape[1]):
            of_others = demand[k, n] - stopped_running - stopped_pending
            found[k, n] = share * (stopped_running + np.minimum(np.maximum(of_others, 0.0), admitted)) + stranded
    return found
