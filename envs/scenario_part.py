"""What the parts of a scenario are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST = 10**9
"""GPUs, or nodes, of anything: what is meant to be no limit is left out instead."""

PRIORITIES = 2**31
"""None is larger, or less than minus that."""

Count = Annotated[int, Field(ge=0, le=MOST)]
Amount = Annotated[float, Field(ge=0)]


class Part(BaseModel):
    """Refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
