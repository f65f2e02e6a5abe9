from benchmarks.forecast_scale import ticks_at


def test_the_fewer_the_queues_the_more_ticks_so_that_a_p99_is_no_single_one() -> None:
    assert [ticks_at(queues, 60) for queues in (1, 10, 40, 250, 2_000)] == [600, 600, 150, 60, 60]


def test_more_ticks_are_taken_where_more_are_asked_for() -> None:
    assert ticks_at(1, 1_000) == 1_000
