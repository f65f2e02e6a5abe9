import numpy as np

from forecasting.pooling import followed, group_means, groups_of, mean_known, members, rows_of
from gyropilot.domain import ALL_QUEUES, Line
from tests.fakes import GPU

RESEARCH, PROD, TOTAL = Line("research", GPU), Line("prod", GPU), Line(ALL_QUEUES, GPU)


def test_totals_are_a_group_of_their_own() -> None:
    assert groups_of([RESEARCH, TOTAL, PROD]).tolist() == [0, 1, 0]
    assert members(groups_of([RESEARCH, TOTAL, PROD])).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_means_leave_out_what_was_not_seen() -> None:
    values = np.array([1.0, 3.0, np.nan]).reshape(3, 1, 1)

    means = group_means(values, groups_of([RESEARCH, PROD, TOTAL]))

    assert means[0, 0, 0] == 2.0
    assert np.isnan(means[1, 0, 0])


def test_without_lines_there_is_no_mean() -> None:
    assert np.isnan(group_means(np.empty((4, 0, 2, 3)), groups_of([]))).all()


def test_rows_follow_their_lines() -> None:
    rows = rows_of([RESEARCH, PROD], [TOTAL, PROD, RESEARCH])

    assert rows.tolist() == [-1, 1, 0]
    assert followed(np.array([[1.0, 2.0]]), rows, axis=1, new=0.0).tolist() == [[0.0, 2.0, 1.0]]


def test_all_lines_are_new_to_whom_none_was_known() -> None:
    assert followed(np.empty((3, 0)), rows_of([], [RESEARCH, PROD]), axis=1, new=1.0).tolist() == [[1.0, 1.0]] * 3


def test_a_mean_is_over_what_is_known_of_each_line() -> None:
    means = mean_known(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]))

    assert means[0] == 2.0
    assert np.isnan(means[1])
    assert mean_known(np.empty((0, 3))).shape == (0,)
