"""Elastic jobs as a file tells them: how long on how many GPUs, between how few and how many, and how that scales."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.workloads import MOST_PARTS, Amounts, Floats, parts_of
from gyropilot.errors import SettingsError

Bools = NDArray[np.bool_]


class Range(NamedTuple):
    """From how many GPUs to how many jobs go, (N,)."""

    least: Amounts
    most: Amounts  # which they ask for
    scaling: Floats  # with n of them they are (n / most) ** scaling as fast
    stretch: Floats  # how long they run on `most`, next to the size for which their duration was told


class Told(NamedTuple):
    """Columns of a file, (N,); NaN where nothing is told."""

    gpus: Floats
    min_gpus: Floats
    max_gpus: Floats
    scaling: Floats


def range_of(path: Path, told: Told, kept: Bools) -> Range:
    """What kept rows say. Raises SettingsError naming the column, and the row, that cannot be."""
    least, most = (np.where(np.isnan(some), told.gpus, some) for some in (told.min_gpus, told.max_gpus))
    scaling = np.where(np.isnan(told.scaling), 1.0, told.scaling)

    def refuse(column: str, wrong: Bools, values: Floats, next_step: Callable[[int], str]) -> None:
        rows = np.flatnonzero(kept & wrong)
        if len(rows):
            row = int(rows[0])
            raise SettingsError(f"{path}: {column} is {values[row]:g} in data row {row + 1}; {next_step(row)}")

    def between(low: str, high: str) -> Callable[[int], str]:
        return lambda row: f"it runs on {told.gpus[row]:g} GPUs, so give {low} and {high}"

    refuse("min_gpus", least <= 0, least, between("more than 0", "no more than that"))
    refuse("min_gpus", least > told.gpus, least, between("more than 0", "no more than that"))
    refuse("max_gpus", most < told.gpus, most, between("that", "more, or nothing"))
    refuse(
        "scaling", ~((scaling > 0) & (scaling <= 1)), scaling, lambda _: "give more than 0 and up to 1, as 1 is linear"
    )
    whole = _in_one_part(path, np.concatenate([least[kept], most[kept]]))
    stretch = np.ones(len(kept))
    stretch[kept] = (told.gpus[kept] / most[kept]) ** scaling[kept]
    return Range(whole(least), whole(most), scaling, stretch)


def _in_one_part(path: Path, amounts: Floats) -> Callable[[Floats], Amounts]:
    """How amounts are counted, in whole GPUs or in the largest part of which all are multiples."""
    if (amounts == np.floor(amounts)).all():
        return lambda some: np.nan_to_num(some, posinf=0.0).astype(np.int64)
    parts = parts_of(amounts)
    if parts is None:
        raise SettingsError(
            f"{path}: gpus, min_gpus and max_gpus are together no multiples of a {MOST_PARTS}th or larger part of a "
            "GPU; round them to hundredths"
        )
    return lambda some: np.rint(np.nan_to_num(some, posinf=0.0) * parts) / parts
