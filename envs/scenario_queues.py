"""Queues as a scenario tells them: their shares of flavors, and whom they may stop."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from envs.replay import Borrow, Preemption, Reclaim, Share, Within
from envs.scenario_part import PRIORITIES, Count, Part
from gyropilot.errors import SettingsError

SAMPLE = """\
# Kueue's ClusterQueues. A job takes the first flavor, in the order of its queue's shares, in which all of it fits.
queues:
  research:
    cohort: all                # queues of one cohort lend to each other what they do not use
    shares:
      h100: {nominal: 48}      # GPUs; without limits it borrows and lends all that it can
      a100: {nominal: 64, borrowing_limit: 8}   # quotas may promise what nodes have yet to be asked for
  production:
    cohort: all
    strategy: StrictFIFO       # the head blocks those behind it; BestEffortFIFO, unless told: they may pass it
    waiting_usd_per_gpu_hour: 20
    # region: us-east-1        # where data of its jobs lies at first
    # weight: 2                # of its fair share; 1, unless told
    # preemption:              # whom its jobs may stop to start: nobody, unless told
    #   within: lower_priority # of its own: never, lower_priority or lower_or_newer_equal_priority
    #   reclaim: any           # of queues that use more than their quota: never, lower_priority or any
    #   borrow: never          # of those even to borrow itself: never or lower_priority
    #   borrow_up_to: 100      # then of priorities up to this one
    shares:
      h100: {nominal: 16, lending_limit: 0}   # keeps all of its quota to itself
      a100: {nominal: 32}
"""


class SharePart(Part):
    nominal: Count
    borrowing_limit: Count | None = None
    lending_limit: Count | None = None


class PreemptionPart(Part):
    """`envs.replay.Preemption`."""

    within: Within = "never"
    reclaim: Reclaim = "never"
    borrow: Borrow = "never"
    borrow_up_to: int | None = Field(default=None, ge=-PRIORITIES, le=PRIORITIES)

    @property
    def rule(self) -> Preemption:
        return Preemption(**self.model_dump())


class QueuePart(Part):
    cohort: str | None = None
    strategy: Literal["BestEffortFIFO", "StrictFIFO"] = "BestEffortFIFO"
    waiting_usd_per_gpu_hour: float | None = Field(default=None, ge=0)
    weight: float = Field(default=1.0, ge=0)
    region: str = ""
    preemption: PreemptionPart = PreemptionPart()
    shares: dict[str, SharePart] = Field(min_length=1)

    @property
    def shares_of_flavors(self) -> dict[str, Share]:
        """What `envs.replay` takes."""
        return {
            flavor: Share(share.nominal, share.borrowing_limit, share.lending_limit)
            for flavor, share in self.shares.items()
        }


def refuse_strange(
    path: Path, queues: Mapping[str, QueuePart], flavors: Collection[str], *, weights_count: bool
) -> None:
    """Raises SettingsError where a queue has a share of what is not there, or a weight that counts for nothing."""
    weighed = sorted(name for name, queue in queues.items() if queue.weight != 1.0)
    if weighed and not weights_count:
        raise SettingsError(
            f"{path}: queues.{weighed[0]}.weight counts with fair_sharing alone; set it, or leave weights out"
        )
    for name, queue in queues.items():
        strange = [flavor for flavor in queue.shares if flavor not in flavors]
        if strange:
            raise SettingsError(
                f"{path}: queues.{name}.shares names {strange[0]}, no flavor; there are {', '.join(flavors)}"
            )
