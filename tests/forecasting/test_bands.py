import numpy as np
import pytest

from forecasting.bands import LEADS_S, Bands, row_quantiles
from forecasting.compiled.bands import bounded
from forecasting.demand.seen import newest, scale_gpus
from gyropilot.domain import Floats, Line
from tests.fakes import GPU, history

HOUR = np.array([[3_600.0]])
RESEARCH = Line("research", GPU)


def test_quantiles_are_those_of_split_conformal_prediction() -> None:
    nine = np.arange(1.0, 10.0)[None, :]  # the (9 + 1) q-th smallest

    assert row_quantiles(nine, np.array([0.1, 0.5, 0.9, 0.99])).tolist() == [[1.0, 5.0, 9.0, 9.0]]


def test_quantiles_leave_out_what_was_not_seen() -> None:
    rows = np.array([[np.nan, 3.0, 1.0, 2.0], [np.nan] * 4])

    assert row_quantiles(rows, np.array([0.5]))[0, 0] == 2.0
    assert np.isnan(row_quantiles(rows, np.array([0.5]))[1, 0])


def test_a_line_that_steps_up_and_down_by_eight_keeps_that_spread() -> None:
    seen = history({"research": [16.0, 24.0] * 4_000})  # changes by 8 over each odd number of steps

    band = Bands.of_changes(seen).at(np.array([[300.0]]), [0.1, 0.9])[0, 0]

    assert band == pytest.approx([-8.0, 8.0], abs=0.01)


def test_doubt_shrinks_with_what_was_seen() -> None:
    widths = [_width(np.full(n, 64.0)) for n in (1, 12, 288, 8_000)]

    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.03


def test_a_gap_adds_no_evidence() -> None:
    gappy = np.full(288, np.nan)
    gappy[-12:] = 64.0

    assert _width(gappy) == pytest.approx(_width(np.full(12, 64.0)))


def test_error_within_one_step_grows_with_time() -> None:
    seen = history({"research": [16.0, 24.0] * 4_000})

    short, long = Bands.of_changes(seen).at(np.array([[60.0, 300.0]]), [0.9])[0, :, 0]

    assert short == pytest.approx(long / 5, rel=0.01)


def test_no_quantile_is_absurd() -> None:
    bands = Bands.of_changes(history({"research": [10.0] * 50}))

    assert bands.bounded(np.array([[[-5.0, 10_000.0]]])).tolist() == [[[0.0, 30.0]]]


def test_a_line_that_nobody_knew_is_measured_on_the_spot() -> None:
    old, new = history({"research": [8.0] * 288}), history({"vision": [16.0, 24.0] * 144})

    adopted = Bands.of_changes(old).for_lines(new)

    assert adopted.lines == new.lines
    assert np.array_equal(adopted.errors, Bands.of_changes(new).errors)


def test_a_line_that_was_fitted_is_looked_up() -> None:
    month, day = history({"research": [16.0, 24.0] * 4_000}), history({"research": [16.0] * 288})
    fitted = Bands.of_changes(month)

    known = fitted.for_lines(day)

    assert np.array_equal(known.errors, fitted.errors)
    assert known.seen_s == 8_000 * 300


def test_nobody_can_write_to_bands_for_those_of_the_same_lines_share_them() -> None:
    seen = history({"research": [16.0, 24.0] * 400})
    fitted = Bands.of_changes(seen)

    known = fitted.for_lines(seen)

    for array in (known.errors, known.seen_s, known.scale, fitted.errors):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_the_newest_reading_is_the_last_that_was_seen() -> None:
    value, age_s = newest(history({"a": [1.0, 2.0, 3.0], "b": [5.0, np.nan, np.nan], "c": [np.nan] * 3}))

    assert value.tolist() == [3.0, 5.0, 0.0]
    assert age_s.tolist() == [0.0, 600.0, 900.0]


def test_first_lead_is_now_and_has_no_error() -> None:
    bands = Bands.of_changes(history({"research": [16.0, 24.0] * 400}))

    assert LEADS_S[0] == 0
    assert bands.at(np.zeros((1, 1)), [0.01, 0.99]).tolist() == [[[0.0, 0.0]]]


def _width(demand: Floats) -> float:
    low, high = Bands.of_changes(history({"research": demand.tolist()})).at(HOUR, [0.1, 0.9])[0, 0]
    return float(high - low)


def test_what_is_around_a_centre_ascends_from_zero_to_the_cap() -> None:
    rng = np.random.default_rng(0)
    centre, errors, cap = rng.normal(4, 4, (3, 5)), rng.normal(0, 4, (3, 5, 7)), np.array([2.0, 6.0, 100.0])

    found = bounded(centre, errors, cap)

    np.testing.assert_array_equal(found, np.clip(np.sort(centre[..., None] + errors), 0.0, cap[:, None, None]))


def test_gaps_are_looked_past_for_the_largest_demand() -> None:
    seen = history({"a": [np.nan, 64.0, np.nan], "b": [16.0, 1.0, 2.0], "c": [np.nan] * 3})

    assert scale_gpus(seen).tolist() == [64.0, 16.0, 8.0]


def test_what_is_bounded_ascends_from_zero_to_a_cap_and_what_is_not_known_comes_last() -> None:
    crossed = np.array([[[8.0, -1.0, np.nan, 99.0, 4.0]]])

    within = bounded(np.zeros((1, 1)), crossed, np.array([24.0]))[0, 0]

    np.testing.assert_array_equal(within, [0.0, 4.0, 8.0, 24.0, np.nan])


def test_the_less_was_seen_the_more_of_a_change_goes_by_chance() -> None:
    change, day_s, quantiles = np.array([[[-2.0, 0.0, 2.0]]]), np.array([[86_400.0]]), (0.1, 0.5, 0.9)

    unknown, known = (
        Bands.doubt((RESEARCH,), np.array([seen_s]), np.array([64.0])).roomy(np.array([64.0]), change, day_s, quantiles)
        for seen_s in (0.0, 1e9)
    )

    assert known[0, 0] == pytest.approx([62.0, 64.0, 66.0], abs=0.01)
    assert unknown[0, 0] == pytest.approx([64 - 32 * 1.2816, 64.0, 64 + 32 * 1.2816], abs=0.01)
