"""Faults as a scenario tells them, in hours since the world begins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from envs.faults import Bias, Blind, Demand, Fault, Outage, Stuck
from envs.scenario_part import Part
from envs.terms import HOUR_S
from gyropilot.errors import SettingsError

SAMPLE = """\
# What goes wrong, in hours since it began. Of what names no pool, or no queue, all are meant.
# faults:
#   - {kind: outage, pool: a100, at_h: 24, lasts_h: 6, share: 0.5}   # of its nodes; none comes until it is over
#   - {kind: stuck-provisioning, pool: a100, at_h: 30, lasts_h: 2}   # what should come meanwhile comes then
#   - {kind: burst, queue: research, at_h: 36, lasts_h: 4, times: 3} # so many times as many jobs
#   - {kind: demand-shift, queue: research, at_h: 48, times: 0.5}    # for good
#   - {kind: forecast-bias, queue: research, at_h: 12, lasts_h: 6, times: 1.5}   # forecasts say so many times as much
#   - {kind: metric-loss, at_h: 60, lasts_h: 1}                      # nothing is seen, so nothing is decided

"""


class _FaultPart(Part):
    """`envs.faults`, in hours since the world begins."""

    at_h: float = Field(ge=0)


class OutagePart(_FaultPart):
    kind: Literal["outage"]
    lasts_h: float = Field(gt=0)
    pool: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)

    @property
    def fault(self) -> Fault:
        return Outage(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, pool=self.pool, share=self.share)


class StuckPart(_FaultPart):
    kind: Literal["stuck-provisioning"]
    lasts_h: float = Field(gt=0)
    pool: str | None = None

    @property
    def fault(self) -> Fault:
        return Stuck(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, pool=self.pool)


class BurstPart(_FaultPart):
    kind: Literal["burst"]
    lasts_h: float = Field(gt=0)
    times: float = Field(ge=0, le=100)
    queue: str | None = None

    @property
    def fault(self) -> Fault:
        return Demand(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, times=self.times, queue=self.queue)


class ShiftPart(_FaultPart):
    kind: Literal["demand-shift"]
    times: float = Field(ge=0, le=100)
    queue: str | None = None

    @property
    def fault(self) -> Fault:
        return Demand(at_s=self.at_h * HOUR_S, times=self.times, queue=self.queue)


class BiasPart(_FaultPart):
    kind: Literal["forecast-bias"]
    lasts_h: float = Field(gt=0)
    times: float = Field(ge=0, le=100)
    queue: str | None = None

    @property
    def fault(self) -> Fault:
        return Bias(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S, times=self.times, queue=self.queue)


class BlindPart(_FaultPart):
    kind: Literal["metric-loss"]
    lasts_h: float = Field(gt=0)

    @property
    def fault(self) -> Fault:
        return Blind(at_s=self.at_h * HOUR_S, lasts_s=self.lasts_h * HOUR_S)


AnyFault = Annotated[OutagePart | StuckPart | BurstPart | ShiftPart | BiasPart | BlindPart, Field(discriminator="kind")]


def refuse_strange(path: Path, faults: Sequence[AnyFault], pools: Collection[str], queues: Collection[str]) -> None:
    """Raises SettingsError where a fault happens to a pool, or a queue, that is not there."""
    for fault in faults:
        named = (getattr(fault, "pool", None), pools), (getattr(fault, "queue", None), queues)
        for whom, known in named:
            if whom is not None and whom not in known:
                raise SettingsError(f"{path}: a fault ({fault.kind}) names {whom}; there are {', '.join(known)}")
