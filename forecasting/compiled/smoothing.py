"""Levels and seasons, smoothed hour by hour; see `forecasting.forecasters.smoothing`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats

Counts = NDArray[np.int64]

POWER, CYCLE, KEEPS, ALPHA, LASTS = range(5)
"""Columns of a way to smooth: what values are taken to (1 or 0.5), hours of a season (24, or 1: none), what each of
them keeps of the mean of those before, the weight of the newest hour, and hours in which a level loses two thirds."""


@compiled
def follow(values: Floats, latest: Floats, way: Floats, levels: Floats, usual: Floats) -> None:
    """Fills `levels` and `usual` (N,): what is known after each of `values` (N,), which are NaN where not seen.

    Usual is the mean of that hour of the day, or of all hours, of which each cycle keeps a share. A level is by how
    much the `latest` (N,) of each hour was unusual, smoothed; in hours that were not seen it fades. Both are NaN until
    something was seen.
    """
    cycle, keeps, alpha = int(way[CYCLE]), way[KEEPS], way[ALPHA]
    fades = np.exp(-1 / way[LASTS])
    total, last, weight, last_weight, level = np.zeros(cycle), np.zeros(cycle), np.zeros(cycle), np.zeros(cycle), np.nan
    for t in range(len(values)):
        hour = t % cycle
        if np.isnan(latest[t]):
            level *= fades
        elif last_weight[hour] > 0:
            unusual = latest[t] - last[hour] / last_weight[hour]
            level = unusual if np.isnan(level) else level + alpha * (unusual - level)
        last_weight[hour] = add(last, hour, keeps, latest[t], last_weight[hour])
        weight[hour] = add(total, hour, keeps, values[t], weight[hour])
        usual[t] = total[hour] / weight[hour] if weight[hour] > 0 else np.nan
        levels[t] = level


@compiled
def add(total: Floats, at: int, keeps: float, value: float, weight: float) -> float:
    """Adds a value to a fading sum, unless it is NaN; the weight of the sum from then on."""
    total[at] *= keeps
    if np.isnan(value):
        return weight * keeps
    total[at] += value
    return weight * keeps + 1.0


@compiled
def shaped(hours: Floats, power: float) -> Floats:
    """Values, or their square roots."""
    return np.sqrt(hours) if power == 0.5 else hours.copy()


@compiled
def expected(usual: Floats, cycle: int, now: int, lead: int) -> float:
    """What is usual `lead` hours after `now`, as far as it is known now."""
    at = now + lead - cycle * ((lead + cycle - 1) // cycle)
    return usual[at] if at >= 0 else np.nan


@compiled
def ascending(errors: Floats, weights: Floats, mirrored: float, both: Floats) -> int:
    """Fills `both` (2, 2N) with `errors` (N,) and their opposites in order, and what each counts; how many these are.

    An opposite counts a share `mirrored` of what the error itself does.
    """
    order, count = np.argsort(errors), len(errors)
    up, down, n = 0, count - 1 if mirrored > 0 else -1, 0
    while up < count or down >= 0:
        if down < 0 or (up < count and errors[order[up]] <= -errors[order[down]]):
            both[0, n], both[1, n] = errors[order[up]], weights[order[up]]
            up += 1
        else:
            both[0, n], both[1, n] = -errors[order[down]], mirrored * weights[order[down]]
            down -= 1
        n += 1
    return n


@compiled
def quantiles(errors: Floats, weights: Floats, levels: Floats, found: Floats) -> None:
    """Fills `found` (P,) with weighted quantiles of ascending `errors` (N,)."""
    total, upto, nth = weights.sum(), 0.0, 0
    last_share, last_error = 0.0, errors[0]
    for p in range(len(levels)):
        share = np.inf
        while nth < len(errors):
            share = (upto + 0.5 * weights[nth]) / total
            if share >= levels[p]:
                break
            upto += weights[nth]
            last_share, last_error = share, errors[nth]
            nth += 1
        if 0 < nth < len(errors):
            part = (levels[p] - last_share) / (share - last_share)
            found[p] = last_error + part * (errors[nth] - last_error)
        else:
            found[p] = last_error


@compiled
def tried(
    hours: Floats, ways: Floats, leads: Counts, weights: Floats, mirrored: float, judged: Floats, levels: Floats
) -> tuple[Floats, Floats]:
    """How each way to smooth one line would have forecast: (V, K) losses, and (V, K, P) quantiles of its errors.

    `hours` (2, N) are means, and those of the end of each; NaN where not seen. Outcomes count by `weights` (N,), and
    errors as if a share `mirrored` of them had been the opposite. Losses are pinball at `judged`, in the units of
    `hours`; inf where too little was seen.
    """
    means, latest, count = hours[0], hours[1], hours.shape[1]
    loss, table = np.full((len(ways), len(leads)), np.inf), np.full((len(ways), len(leads), len(levels)), np.nan)
    level, usual, known = np.empty(count), np.empty(count), np.empty(count)
    errors, counted, when = np.empty(count), np.empty(count), np.empty(count, dtype=np.int64)
    typical, both, first = np.empty(len(judged)), np.empty((2, 2 * count)), 0
    while first < count and weights[first] == 0:
        first += 1
    for v in range(len(ways)):
        root, cycle = ways[v, POWER] == 0.5, int(ways[v, CYCLE])
        values = shaped(means, ways[v, POWER])
        follow(values, shaped(latest, ways[v, POWER]), ways[v], level, usual)
        for k in range(len(leads)):
            lead, n = leads[k], 0
            left = np.exp(-(lead - 0.5) / ways[v, LASTS])
            for t in range(max(first - lead, 0), count - lead):
                told = expected(usual, cycle, t, lead) + level[t] * left
                error = values[t + lead] - told
                if weights[t + lead] > 0 and not np.isnan(error):
                    errors[n], counted[n], when[n], known[n] = error, weights[t + lead], t + lead, told
                    n += 1
            if n < 2 * len(judged):
                continue
            spread = both[:, : ascending(errors[:n], counted[:n], mirrored, both)]
            quantiles(spread[0], spread[1], levels, table[v, k])
            quantiles(spread[0], spread[1], judged, typical)
            lost, total = 0.0, 0.0
            for i in range(n):
                here = 0.0
                for q in range(len(judged)):
                    said = max(known[i] + typical[q], 0.0)
                    over = means[when[i]] - (said * said if root else said)
                    here += max(judged[q] * over, (judged[q] - 1) * over)
                lost += counted[i] * here
                total += counted[i]
            loss[v, k] = lost / total
    return loss, table


@compiled
def told(hours: Floats, ways: Floats, shares: Floats, table: Floats, leads: Floats, ages: Floats, at: Floats) -> Floats:
    """(R, H, P) quantiles `leads` (H,) hours ahead of lines that were seen `ages` (R,) hours ago.

    `hours` (2, R, N) as above. Of each line `ways` (R, V, 5) are smoothed, and what they say is mixed by their `shares`
    (R, V, K), with errors `table` (R, V, K, P); K leads, whose logarithms are `at`, were tried. NaN where none was.
    """
    lines, count = hours.shape[1:]
    found = np.zeros((lines, len(leads), table.shape[3]))
    level, usual = np.empty(count), np.empty(count)
    for line in range(lines):
        if shares[line].max() <= 0:
            found[line] = np.nan
        for v in range(ways.shape[1]):
            if shares[line, v].max() <= 0:
                continue
            root, cycle = ways[line, v, POWER] == 0.5, int(ways[line, v, CYCLE])
            power = ways[line, v, POWER]
            follow(shaped(hours[0, line], power), shaped(hours[1, line], power), ways[line, v], level, usual)
            for h in range(len(leads)):
                lead = leads[h]
                near = np.log(max(lead + ages[line], 1.0))
                k = min(np.searchsorted(at, near, side="right") - 1, len(at) - 2)
                part = min((near - at[k]) / (at[k + 1] - at[k]), 1.0)
                share = shares[line, v, k] * (1 - part) + shares[line, v, k + 1] * part
                whole = int(np.floor(lead))
                over = lead - whole
                centre = expected(usual, cycle, count - 1, whole) * (1 - over)
                if over > 0:
                    centre += expected(usual, cycle, count - 1, whole + 1) * over
                centre += level[count - 1] * np.exp(-max(lead - 0.5, 0.0) / ways[line, v, LASTS])
                for p in range(found.shape[2]):
                    error = table[line, v, k, p] * (1 - part) + table[line, v, k + 1, p] * part
                    said = max(centre + error, 0.0)
                    found[line, h, p] += share * (said * said if root else said)
    return found
