"""Range answers kept between readings: of four weeks, only the last hour is asked for again each minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gyropilot.prometheus.series import Grid, Key, Labels, Table

AGAIN_S = 3600  # asked for again each time: remote stores fill in late
WHOLE_S = 6 * 3600  # what changed further back is seen after at most so long

Row = Callable[[Labels], Key]
Range = Callable[[str, Grid, Row], Table]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query answered, and until when it was last asked for as a whole."""

    table: Table
    whole_s: int

    def newer(self, grid: Grid) -> Grid | None:
        """The part of a grid that this does not tell for sure; None where that is all of it."""
        mine = self.table.grid
        first_s = mine.end_s - AGAIN_S // mine.step_s * mine.step_s
        moved_on = mine.step_s == grid.step_s and mine.start_s <= grid.start_s < first_s and mine.end_s <= grid.end_s
        if not moved_on or grid.end_s - self.whole_s >= WHOLE_S:
            return None
        return Grid(first_s, grid.step_s, (grid.end_s - first_s) // grid.step_s + 1)


@dataclass(frozen=True, slots=True)
class Past:
    """Answers as `ask` does, and remembers. Not for several threads at once."""

    ask: Range
    kept: dict[str, Answer] = field(default_factory=dict)  # by PromQL

    def range(self, promql: str, grid: Grid, row: Row) -> Table:
        """The series of a query on a grid. Raises what `ask` raises, and has forgotten nothing then."""
        known = self.kept.get(promql)
        newer = known.newer(grid) if known else None
        if known is None or newer is None:
            answer = Answer(self.ask(promql, grid, row), grid.end_s)
        else:
            answer = Answer(known.table.followed_by(self.ask(promql, newer, row), grid), known.whole_s)
        self.kept[promql] = answer
        return answer.table
