"""Interruptions that a market was seen to make, from a file: replayed they take as many nodes at the same moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.table_file import read_frame
from envs.words import counted
from envs.workloads import Floats, Ints
from gyropilot.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

WANTED = "a table with the columns t_s, seconds since the world begins, and nodes or share, that are taken back then"

ROUNDING = 1e-9
"""Of a step: so near to its beginning a moment counts as that."""


@dataclass(frozen=True, slots=True)
class Interruptions:
    """Moments at which nodes of one pool were taken back, and how many: as a number, or as a share of those there."""

    at_s: tuple[float, ...]  # since the world began
    nodes: tuple[int, ...] = ()
    share: tuple[float, ...] = ()
    path: Path | None = None  # from which they are

    def begun(self, from_s: float, at_s: float) -> Interruptions:
        """Those from `from_s` on, which happens `at_s` after the world began; what was before is left out."""
        later = [nth for nth, moment in enumerate(self.at_s) if moment >= from_s]
        return replace(
            self,
            at_s=tuple(self.at_s[nth] - from_s + at_s for nth in later),
            nodes=tuple(self.nodes[nth] for nth in later if self.nodes),
            share=tuple(self.share[nth] for nth in later if self.share),
        )

    def nodes_by_step(self, steps: int, step_s: float) -> Ints:
        """(T,) that go as each step begins; who goes between two steps goes at the second."""
        taken = np.zeros(steps, dtype=np.int64)
        if self.nodes:
            at, told = self._within(steps, step_s, np.array(self.nodes))
            np.add.at(taken, at, told)
        return taken

    def share_by_step(self, steps: int, step_s: float) -> Floats:
        """(T,) of the nodes that are there as each step begins; several in a step are each of what the last left."""
        stays = np.ones(steps)
        if self.share:
            at, told = self._within(steps, step_s, np.array(self.share))
            np.multiply.at(stays, at, 1 - told)
        return 1 - stays

    def _within(self, steps: int, step_s: float, told: Floats | Ints) -> tuple[Ints, Floats | Ints]:
        at = np.ceil(np.array(self.at_s) / step_s - ROUNDING).astype(np.int64)
        return at[at < steps], told[at < steps]


def read_interruptions(path: Path, pool: str) -> Interruptions:
    """Those of a pool, where the table has a column `pool`; else all. Raises SettingsError naming what is wrong."""
    frame = read_frame(path, WANTED)
    which = [name for name in ("nodes", "share") if name in frame]
    if "t_s" not in frame or len(which) != 1:
        raise SettingsError(f"{path} has the columns {', '.join(map(str, frame.columns))}; give {WANTED}")
    mine = _of_pool(path, frame, pool)
    at_s, told = _numbers(path, mine, "t_s", np.inf), _numbers(path, mine, which[0], _MOST[which[0]])
    if which[0] == "share":
        return Interruptions(tuple(at_s.tolist()), share=tuple(told.tolist()), path=path)
    if (told % 1 > 0).any():
        raise SettingsError(f"{path}: nodes is {told[told % 1 > 0][0]:g}; give whole nodes, or their share")
    return Interruptions(tuple(at_s.tolist()), nodes=tuple(map(int, told.tolist())), path=path)


_MOST = {"nodes": 1e9, "share": 1.0}


def _of_pool(path: Path, frame: pd.DataFrame, pool: str) -> pd.DataFrame:
    if "pool" not in frame:
        return frame
    named = frame["pool"].astype(str).str.strip()
    if not (named == pool).any():
        some = ", ".join(sorted(set(named))[:5]) or "none"
        raise SettingsError(f"{path} has {counted(len(frame), 'row')}, none of pool {pool}; its pools are {some}")
    return frame[named == pool]


def _numbers(path: Path, frame: pd.DataFrame, name: str, most: float) -> Floats:
    """Raises SettingsError naming the first row that has no number from 0 to `most`."""
    import pandas as pd

    numbers: Floats = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~((numbers >= 0) & (numbers <= most) & np.isfinite(numbers))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        upto = "a number of zero or more" if most > 1 else "a number from 0 to 1"
        raise SettingsError(
            f"{path}: {name} is {frame[name].iloc[row]} in data row {frame.index[row] + 1}; give {upto}"
        )
    return numbers
