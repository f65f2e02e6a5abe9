"""The lowest cost within a budget of evaluations, by CMA-ES.

Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772; the library is its author's own, `cma`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agents.pilots.knobs import Knob, Value

STEP = 0.25
"""Standard deviation of the first candidates, as a share of each knob's range."""

HOPELESS = 1e12
"""What counts for a cost that is no number: worse than all that are."""

Settings = Mapping[str, Value]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    settings: Settings
    cost: float
    evaluations: int
    interrupted: bool = False


def search(
    cost: Callable[[Settings], float], knobs: Sequence[Knob], start: Settings, budget: int, rng: np.random.Generator
) -> Found:
    """Settings of the lowest cost among at most `budget` that are evaluated, `start` first.

    Of equal cost are those that change fewest: what makes no difference is put back, with evaluations that are kept for
    that. Where it is interrupted (Ctrl-C) the best so far is the answer, unless nothing was evaluated yet.
    """
    seen = _Seen(cost, start, budget - min(len(knobs), budget // 3))
    seen.cost(start)
    interrupted = False
    try:
        _evolve(seen, knobs, rng)
        seen.budget = budget
        _put_back(seen)
    except KeyboardInterrupt:
        interrupted = True
    best = seen.best
    return Found(best, seen.costs[_key(best)], len(seen.costs), interrupted)


@dataclass(eq=False, slots=True)
class _Seen:
    """What was evaluated; what is asked for again costs nothing."""

    evaluate: Callable[[Settings], float]
    start: Settings
    budget: int
    costs: dict[tuple[tuple[str, Value], ...], float] = field(default_factory=dict)

    @property
    def best(self) -> Settings:
        """Of the lowest cost the one with the fewest changes, and of these the first."""
        begun = set(self.start.items())
        return dict(min(self.costs.items(), key=lambda each: (each[1], len(set(each[0]) - begun)))[0])

    def cost(self, settings: Settings) -> float | None:
        """None once the budget is spent."""
        key = _key(settings)
        if key not in self.costs:
            if len(self.costs) >= self.budget:
                return None
            found = self.evaluate(settings)
            self.costs[key] = found if math.isfinite(found) else HOPELESS
        return self.costs[key]


def _evolve(seen: _Seen, knobs: Sequence[Knob], rng: np.random.Generator) -> None:
    """Generation after generation, until the budget is spent or candidates are all alike."""
    strategy = _strategy(knobs, seen.start, seen.budget, rng)
    while not strategy.stop():
        places = strategy.ask()
        costs = [
            seen.cost({knob.name: knob.at(at) for knob, at in zip(knobs, place, strict=False)}) for place in places
        ]
        if None in costs:
            return
        strategy.tell(places, costs)


def _put_back(seen: _Seen) -> None:
    """Each setting of the best back to where it began, one after the other, where that costs no more."""
    for name, value in seen.start.items():
        seen.cost({**seen.best, name: value})


def _key(settings: Settings) -> tuple[tuple[str, Value], ...]:
    return tuple(settings.items())


def _strategy(knobs: Sequence[Knob], start: Settings, budget: int, rng: np.random.Generator) -> Any:
    """Over the places of all knobs, each from 0 to 1."""
    first = [knob.place(start[knob.name]) for knob in knobs]
    # It takes no fewer than two dimensions; what it does along the second nobody looks at.
    first += [0.5] * (2 - len(first))
    options = {
        "bounds": [0, 1],
        "maxiter": budget,  # generations: where no candidate is new, the budget is never spent
        "randn": lambda *shape: rng.standard_normal(shape),
        "seed": math.nan,  # else it seeds numpy's global generator
        "verbose": -10,  # from here down it reads no file of options from the folder that one is in
        "verb_log": 0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it can draw no pictures without matplotlib
        import cma

        return cma.CMAEvolutionStrategy(first, STEP, options)
