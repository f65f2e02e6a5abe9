"""What went wrong while pilots steered, in words and as pictures shade it."""

from __future__ import annotations

from math import isinf

from envs.faults import Bias, Blind, Demand, Fault, Outage, Stuck
from envs.workloads import DAY_S
from gyropilot.report.courses import Event
from gyropilot.report.trials.result import Trials

HOUR_S = 3_600.0


def events(found: Trials) -> list[Event]:
    """In the order in which they began, at the times of the file of jobs. What began after the end is left out."""
    over_s = found.days * DAY_S
    met = sorted((fault for fault in found.faults if fault.at_s < over_s), key=lambda fault: fault.at_s)
    return [
        Event(
            number,
            found.began_s + fault.at_s,
            found.began_s + min(over_s, fault.at_s + fault.lasts_s),
            f"{_when(fault)}: {_what(fault)}",
        )
        for number, fault in enumerate(met, 1)
    ]


def _when(fault: Fault) -> str:
    """24 h to 30 h; from 48 h on."""
    if isinf(fault.lasts_s):
        return f"from {fault.at_s / HOUR_S:g} h on"
    return f"{fault.at_s / HOUR_S:g} h to {(fault.at_s + fault.lasts_s) / HOUR_S:g} h"


def _what(fault: Fault) -> str:
    match fault:
        case Outage():
            return f"outage of {fault.pool or 'all pools'}, {100 * fault.share:.0f} % of nodes lost, and none came"
        case Stuck():
            return f"stuck provisioning of {fault.pool or 'all pools'}, what should have come came at the end"
        case Demand():
            kind = "demand shift" if isinf(fault.lasts_s) else "burst"
            return f"{kind}, {fault.queue or 'every queue'} submitted {fault.times:g} times as many jobs"
        case Bias():
            whose = f"forecasts of {fault.queue}" if fault.queue else "forecasts"
            return f"forecast bias, {whose} said {fault.times:g} times as much"
        case Blind():
            return "metric loss, nothing was seen, so nothing was decided"
        case _:
            return "something else went wrong"
