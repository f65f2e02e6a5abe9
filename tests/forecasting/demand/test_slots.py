from datetime import timedelta

import numpy as np
import pytest

from forecasting.demand.slots import Past
from forecasting.windows import Sums
from gyropilot.domain import Floats

NAN = np.nan
SLOT = timedelta(minutes=10)


def test_means_are_of_what_was_seen_between_two_edges_before_and_since_the_fit() -> None:
    seen = past(before=[1.0, 3.0, 5.0], since=[7.0, 9.0])

    assert means(seen, (0, 2), (1, 4), (3, 5), (0.5, 1.5)) == [2.0, 5.0, 8.0, 2.0]


def test_a_mean_is_not_known_where_under_half_was_seen_or_it_reaches_beyond() -> None:
    seen = past(before=[1.0, NAN, NAN, 5.0], since=[NAN, 9.0])

    assert means(seen, (0, 2), (4, 6)) == [1.0, 9.0]
    assert np.isnan(means(seen, (0, 3), (1, 3), (-1, 1), (5, 7), (2, 2))).all()


def test_edges_a_hair_apart_are_one() -> None:
    seen = past(before=[1.0, 3.0], since=[5.0])

    assert means(seen, (1e-8, 2 - 1e-8), (-1e-8, 3 + 1e-8)) == pytest.approx([2.0, 3.0])


def past(before: list[float], since: list[float]) -> Past:
    """Of one line."""
    early, late = (Sums.of_demand(np.array([part]), SLOT) for part in (before, since))
    return Past(early.total, early.seen, late.total, late.seen)


def means(seen: Past, *edges: tuple[float, float]) -> list[float]:
    begins, ends = np.array(edges, dtype=np.float64).T
    found: Floats = seen.means(begins, ends, now=seen.total.shape[1] + seen.late_total.shape[1] - 2)
    return [float(mean) for mean in found[0]]
