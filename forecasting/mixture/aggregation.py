"""Who is listened to: shares of experts per line, window and quantile, learnt from their losses as they come in.

Per quantile, as in Berrisch and Ziel 2021, "CRPS learning". Shares of a cell are learnt twice, by Bernstein online
aggregation: from its own losses, and from those of all lines together. Its own count the more, the more were seen.

Arrays lie experts first, (E, L, W, Q), because sums over experts are the most frequent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forecasting.grid import nearby
from forecasting.mixture.bernstein import Evidence
from forecasting.once import for_reading
from forecasting.pooling import GROUPS, followed, group_means, groups_of, or_zero, rows_of
from forecasting.protocol import State
from forecasting.store import floats, lines_from_state, lines_to_state, nested, plain, texts
from gyropilot.domain import Floats, Line

OUTLIER = 10.0
"""In what lines learn together, no regret counts as more than this many usual ones of its cell."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast shares follow the losses."""

    rate: float = 1.0  # of learning; 0.5 is the paper's, more learns faster, and also from luck
    forget: float = 0.01  # share of what was learnt that fades with each feedback, in [0, 1)
    fixed_share: float = 0.0  # handed to all experts alike at each feedback: Herbster and Warmuth (1998)
    own_after: float = 50.0  # feedbacks after which a line's own losses count as much as those of all lines
    evenness: float = 0.5  # in what lines learn together: 0 each GPU counts alike, 1 each line
    reach_windows: float = 0.0  # shares are smoothed over neighbours: a standard deviation, in windows
    reach_quantiles: float = 0.7  # likewise, in quantiles


USUAL_PACE = Pace()


@dataclass(frozen=True, eq=False)
class Weights:
    """How much each expert is listened to, and why. A line that is new starts with what all lines have learnt."""

    experts: tuple[str, ...]
    lines: tuple[Line, ...]
    prior: Floats  # (E, 1, W, Q) shares before anything was seen
    own: Evidence  # (E, L, W, Q)
    pooled: Evidence  # (E, G, W, Q) of each group of lines
    usual: Floats  # (L, W, Q) mean regret in GPUs, without its sign
    pace: Pace = USUAL_PACE

    @classmethod
    def start(
        cls,
        experts: Sequence[str],
        shape: tuple[int, int],
        lines: Sequence[Line] = (),
        prior: Floats | None = None,
        pace: Pace = USUAL_PACE,
    ) -> Self:
        """For (windows, quantiles) of `shape`; shares as in `prior`, which broadcasts to (E, W, Q), or all alike."""
        count = len(experts)
        first = np.ones((count, *shape)) if prior is None else _broadcast_prior(prior, (count, *shape))
        return cls(
            tuple(experts),
            tuple(lines),
            (first / first.sum(axis=0))[:, None],
            Evidence.none((count, len(lines), *shape)),
            Evidence.none((count, len(GROUPS), *shape)),
            np.zeros((len(lines), *shape)),
            pace,
        )

    @cached_property
    def shares(self) -> Floats:
        """(E, L, W, Q) that sum to one over experts."""
        together = self.pooled.shares(self.prior, self.pace.rate)[:, groups_of(self.lines)]
        alone = self.own.shares(self.prior, self.pace.rate)
        trust = self.own.count / np.maximum(self.own.count + self.pace.own_after, 1e-12)
        mixed = together + trust * (alone - together)
        return for_reading(_smoothed(mixed, self.pace.reach_windows, self.pace.reach_quantiles))

    def from_now_on(self, prior: Floats, pace: Pace) -> Self:
        """With other shares before anything was seen, and another pace; what was learnt stays."""
        first = _broadcast_prior(prior, (self.prior.shape[0], *self.prior.shape[2:]))
        return replace(self, prior=(first / first.sum(axis=0))[:, None], pace=pace)

    def combined(self, expert_quantiles: Floats) -> Floats:
        """(L, W, Q) ascending quantiles from those of each expert (E, L, W, Q), without any that says NaN."""
        return combined(self.shares, expert_quantiles)

    def learnt(self, losses: Floats, fresh: Floats | float = 1.0) -> Self:
        """Having seen losses (E, L, W, Q) in GPUs; NaN: nothing is learnt there, or of that expert.

        `fresh` broadcasts to (L, W, Q): how much each feedback says that those before it did not. Forecasts of six
        hours ahead that are made each hour err together: 1/6.
        """
        new = np.broadcast_to(np.asarray(fresh, dtype=np.float64), losses.shape[1:])
        regret = self._regret(losses)
        usual = self._usual(regret, new)
        groups = groups_of(self.lines)
        together = group_means(self._comparable(regret, usual), groups)
        together_new = or_zero(group_means(np.where(np.isfinite(regret).any(axis=0), new, np.nan), groups))
        return replace(
            self,
            own=self._after(self.own, regret, new),
            pooled=self._after(self.pooled, together, together_new),
            usual=usual,
        )

    def for_lines(self, lines: Sequence[Line]) -> Self:
        """Rows in the order of `lines`: new ones have learnt nothing of their own, vanished ones are forgotten."""
        if tuple(lines) == self.lines:
            return self
        rows = rows_of(self.lines, lines)
        own, usual = self.own.for_rows(rows), followed(self.usual, rows, 0, 0.0)
        return replace(self, lines=tuple(lines), own=own, usual=usual)

    def relearnt(self, shifted: NDArray[np.bool_], kept: float = 0.1) -> Self:
        """With most of what `shifted` (L,) lines have taught on their own forgotten: they follow all lines again."""
        if not shifted.any():
            return self
        return replace(self, own=self.own.faded(np.where(shifted, kept, 1.0)[:, None, None]))

    def explained(self, line: Line, window: int) -> tuple[tuple[str, float], ...]:
        """Experts and their shares over all quantiles, the greatest first."""
        mean = self.shares[:, self.lines.index(line), window].mean(axis=-1)
        return tuple((self.experts[i], float(mean[i])) for i in np.argsort(-mean, kind="stable"))

    def sentence(self, line: Line, window: int, least: float = 0.05) -> str:
        """`explained` as said to a reader: "analog 62 %, ets 30 %"; shares under `least` are left out."""
        told = [(name, share) for name, share in self.explained(line, window) if share >= least]
        return ", ".join(f"{name} {share:.0%}".replace("%", " %") for name, share in told)

    def state(self) -> State:
        return {
            "experts": list(self.experts),
            "lines": lines_to_state(self.lines),
            "prior": self.prior,
            "own": self.own.state(),
            "pooled": self.pooled.state(),
            "usual": self.usual,
            "pace": asdict(self.pace),
        }

    @classmethod
    def restored(cls, state: State) -> Self:
        experts, lines = texts(state, "experts"), lines_from_state(nested(state, "lines"))
        cells = np.shape(state.get("prior", ()))[2:]
        return cls(
            experts,
            lines,
            floats(state, "prior", (len(experts), 1, *cells)),
            Evidence.restored(nested(state, "own"), (len(experts), len(lines), *cells)),
            Evidence.restored(nested(state, "pooled"), (len(experts), len(GROUPS), *cells)),
            floats(state, "usual", (len(lines), *cells)),
            plain(Pace, state, "pace"),
        )

    def _regret(self, losses: Floats) -> Floats:
        """(E, L, W, Q) loss of all together, as they are listened to, less each one's own."""
        awake = np.isfinite(losses)
        shares = np.where(awake, self.shares, 0.0)
        with np.errstate(invalid="ignore"):
            together = (shares * np.where(awake, losses, 0.0)).sum(axis=0) / shares.sum(axis=0)
        regret: Floats = together - losses
        return regret

    def _usual(self, regret: Floats, fresh: Floats) -> Floats:
        """(L, W, Q) mean size of regrets, this one counted in."""
        seen = np.isfinite(regret)
        awake = seen.sum(axis=0)
        size = np.where(seen, np.abs(regret), 0.0).sum(axis=0) / np.maximum(awake, 1)
        counted = np.where(awake > 0, fresh, 0.0)
        weight = counted / np.maximum(counted + self.own.count, 1e-12)
        usual: Floats = self.usual + weight * (size - self.usual)
        return usual

    def _comparable(self, regret: Floats, usual: Floats) -> Floats:
        """Regrets of different lines in a unit in which their mean means something; NaN where all experts agree."""
        unit = np.where(usual > 0, usual, np.nan)
        return np.clip(regret / unit, -OUTLIER, OUTLIER) * unit ** (1 - self.pace.evenness)

    def _after(self, evidence: Evidence, regret: Floats, fresh: Floats) -> Evidence:
        new = np.where(np.isfinite(regret).any(axis=0), fresh, 0.0)
        learnt = evidence.learnt(regret, new, self.pace.forget)
        if not self.pace.fixed_share:
            return learnt
        return learnt.levelled(self.prior, self.pace.rate, 1 - (1 - self.pace.fixed_share) ** new)


def combined(shares: Floats, expert_quantiles: Floats) -> Floats:
    """(L, W, Q) from shares and quantiles (E, L, W, Q), ascending; an expert that says NaN is left out."""
    said = np.isfinite(expert_quantiles)
    speaks = np.flatnonzero(said.reshape(len(said), -1).any(axis=1))
    if 0 < len(speaks) < len(said):
        share = shares[speaks]
        total = share.sum(axis=0)
        return combined(np.divide(share, total, out=np.zeros_like(share), where=total > 0), expert_quantiles[speaks])
    if said.all():
        mean = np.einsum("elwq,elwq->lwq", shares, expert_quantiles)
    else:
        heard = np.where(said, shares, 0.0)
        total = np.einsum("elwq,elwq->lwq", heard, np.where(said, expert_quantiles, 0.0))
        mean = np.divide(total, heard.sum(axis=0), out=np.full_like(total, np.nan), where=said.any(axis=0))
    ascending: Floats = np.sort(mean, axis=-1)
    return ascending


def linear_losses(actual: Floats, said: Floats, expert_quantiles: Floats, quantiles: Sequence[float]) -> Floats:
    """(E, L, W, Q) pinball losses of experts, linear around what was `said` (L, W, Q) together; NaN: not seen.

    The "gradient trick": with these, shares approach the best mixture, not only the best expert.
    """
    levels = np.asarray(quantiles, dtype=np.float64)
    slope = np.where(actual[..., None] < said, 1 - levels, -levels)
    losses: Floats = slope * (expert_quantiles - actual[..., None])
    return losses


def at(shares: Floats, windows: Floats, quantiles: Floats) -> Floats:
    """(E, L, A, B) shares (E, L, W, Q) seen at other windows (A, W) and quantiles (B, Q), as `between` gives them."""
    seen: Floats = np.matmul(windows, shares @ quantiles.T)
    return seen


def _smoothed(shares: Floats, reach_windows: float, reach_quantiles: float) -> Floats:
    windows, quantiles = shares.shape[2:]
    if reach_quantiles and quantiles > 1:
        shares = shares @ nearby(quantiles, reach_quantiles).T
    if reach_windows and windows > 1:
        shares = np.matmul(nearby(windows, reach_windows), shares)
    return shares


def _broadcast_prior(prior: Floats, shape: tuple[int, ...]) -> Floats:
    """`prior` of shape (E,) or (E, W, Q) as (E, W, Q)."""
    given = np.asarray(prior, dtype=np.float64)
    return np.broadcast_to(given.reshape(given.shape + (1,) * (3 - given.ndim)), shape)
