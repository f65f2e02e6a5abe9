"""Quantiles of past errors at any lead; see `forecasting.bands`."""

from __future__ import annotations

import numpy as np

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats

DAY_S = 86_400.0


@compiled
def blended(table: Floats, known_s: Floats, leads_s: Floats, seen_s: Floats, daily: Floats, normals: Floats) -> Floats:
    """(L, H, Q) from a `table` (L, K, Q) at ascending leads `known_s` (K,), linear in between, for `leads_s` (L, H).

    A share that is the larger the shorter a line was seen, `seen_s` (L,), goes by a random walk with `normals` (Q,),
    whose standard deviation after a day and more is `daily` (L,).
    """
    found = np.empty((*leads_s.shape, len(normals)))
    for line in range(len(leads_s)):
        for h in range(leads_s.shape[1]):
            lead_s = leads_s[line, h]
            unsure = lead_s / max(lead_s, seen_s[line], 1.0)
            width = daily[line] * np.sqrt(min(1.0, lead_s / DAY_S))
            above = min(max(np.searchsorted(known_s, lead_s), 1), len(known_s) - 1)
            apart_s = known_s[above] - known_s[above - 1]
            share = min(max((lead_s - known_s[above - 1]) / apart_s, 0.0), 1.0)
            for q in range(len(normals)):
                past = table[line, above - 1, q] * (1 - share) + table[line, above, q] * share
                found[line, h, q] = past * (1 - unsure) + width * normals[q] * unsure
    return found


@compiled
def keep_in_order(row: Floats, at: int, gpus: float) -> None:
    """Puts `gpus` among the first `at` of a `row` (Q,), which ascend; NaN comes last."""
    while at > 0 and (row[at - 1] > gpus or (np.isnan(row[at - 1]) and not np.isnan(gpus))):
        row[at] = row[at - 1]
        at -= 1
    row[at] = gpus


@compiled
def keep_within(row: Floats, cap: float) -> None:
    """Raises what of a `row` (Q,) is below zero, and lowers what is above `cap`."""
    for q in range(len(row)):
        if row[q] < 0:
            row[q] = 0.0
        elif row[q] > cap:
            row[q] = cap


@compiled
def bounded(centre: Floats, errors: Floats, cap: Floats) -> Floats:
    """(L, H, Q) `errors` around each `centre` (L, H), ascending along Q, from zero to a line's `cap` (L,)."""
    found = np.empty_like(errors)
    for line in range(len(errors)):
        for h in range(errors.shape[1]):
            for q in range(errors.shape[2]):
                keep_in_order(found[line, h], q, centre[line, h] + errors[line, h, q])
            keep_within(found[line, h], cap[line])
    return found


@compiled
def roomy(now: Floats, change: Floats, share: Floats, width: Floats, normals: Floats, cap: Floats) -> Floats:
    """(L, H, Q) likewise: `now` (L,) plus `change`, of which a `share` (L, H) goes by `normals` of a `width` (L, H)."""
    found = np.empty_like(change)
    for line in range(len(change)):
        for h in range(change.shape[1]):
            for q in range(change.shape[2]):
                seen = now[line] + change[line, h, q] * (1 - share[line, h])
                keep_in_order(found[line, h], q, seen + width[line, h] * normals[q] * share[line, h])
            keep_within(found[line, h], cap[line])
    return found


@compiled
def doubted(told: Floats, share: Floats, now: Floats, width: Floats, normals: Floats) -> Floats:
    """(L, H, Q) what is `told`, but for a `share` (L,) that goes by `normals` of a `width` (L, H) around `now` (L,)."""
    found = np.empty_like(told)
    for line in range(len(told)):
        for h in range(told.shape[1]):
            for q in range(told.shape[2]):
                prior = now[line] + width[line, h] * normals[q]
                found[line, h, q] = told[line, h, q] * (1 - share[line]) + prior * share[line]
    return found


@compiled
def conformal(ranked: Floats, levels: Floats) -> Floats:
    """(L, P) quantiles at `levels` (P,) of ascending rows (L, N), of which NaN come last; NaN of a row without any."""
    found = np.full((len(ranked), len(levels)), np.nan)
    for line in range(len(ranked)):
        count = 0
        for gpus in ranked[line]:
            count += np.isfinite(gpus)
        for p in range(len(levels)):
            if count:
                rank = min(max((count + 1) * levels[p] - 1, 0.0), count - 1.0)
                below = int(np.floor(rank))
                low, high = ranked[line, below], ranked[line, min(below + 1, count - 1)]
                found[line, p] = low + (high - low) * (rank - below)
    return found


@compiled
def sound(gpus: Floats) -> bool:
    """Whether a table (L, W, Q) is finite, ascends along Q and is nowhere below zero."""
    for line in range(gpus.shape[0]):
        for w in range(gpus.shape[1]):
            least = 0.0
            for q in range(gpus.shape[2]):
                if not least <= gpus[line, w, q] < np.inf:
                    return False
                least = gpus[line, w, q]
    return True
