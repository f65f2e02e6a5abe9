"""The pictures: what they show, where, and what they leave out."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as Xml

import numpy as np
import pytest

from gyropilot.domain import ALL_QUEUES, Dial, Interval, Line, Verdict
from gyropilot.report.axes import beside, gpu_ticks, time_label, time_ticks
from gyropilot.report.charts import (
    BESIDE,
    LETTER,
    NARROW,
    SMALL,
    WIDE,
    Frame,
    extent_of,
    fan_chart,
    limit_words,
    pool_bar,
    roomy,
    top_of,
    whisker,
)
from gyropilot.report.fans import Fan, fan_of, queue_lines, thin, totals
from gyropilot.report.picture import total_picture
from gyropilot.report.svg import tag
from tests.fakes import GPU, NOW, action, history, pool, queue
from tests.report import samples

TOTAL = Line(ALL_QUEUES, GPU)


def total_fan() -> Fan:
    return fan_of(samples.cycle(), TOTAL)


def test_history_is_thinned_to_what_can_be_seen() -> None:
    assert 100 < len(total_fan().times_s) <= 200


def test_history_goes_back_three_times_as_far_as_the_forecast_goes_ahead() -> None:
    fan = total_fan()

    assert fan.end_s - fan.now_s == 24 * 3600
    assert 71 * 3600 < fan.now_s - fan.begin_s <= 72 * 3600


def test_thinning_means_what_was_seen_and_keeps_gaps() -> None:
    values = np.array([9.0, 1.0, 3.0, np.nan, 5.0, np.nan, np.nan, 7.0])

    thinned = thin(values, 2)

    assert np.array_equal(thinned, [9.0, 2.0, 5.0, np.nan, 7.0], equal_nan=True)


def test_the_newest_reading_is_exact_for_each_queue_and_in_total() -> None:
    seen = samples.cycle()

    drawn = {line: fan_of(seen, line) for line in (TOTAL, *seen.state.history.lines)}

    demands = {queue.name: queue.demand_gpus(GPU) for queue in seen.state.queues}
    assert {line.queue: fan.latest for line, fan in drawn.items()} == {ALL_QUEUES: sum(demands.values()), **demands}
    assert {fan.times_s[-1] for fan in drawn.values()} == {seen.state.history.times[-1]}


def test_the_past_of_a_total_is_of_queues_that_are_gone_too() -> None:
    real = samples.cycle()
    gone = history({"vision": [*[32.0] * 144, *[0.0] * 144]})
    seen = replace(real, state=replace(real.state, history=history({"research": 288 * [8.0]}), gone=gone))

    drawn, left = fan_of(seen, TOTAL), fan_of(seen, Line("research", GPU))

    assert (drawn.demand[:70].tolist(), drawn.demand[-70:].tolist()) == (70 * [40.0], 70 * [8.0])
    assert set(left.demand.tolist()) == {8.0}
    assert Line("vision", GPU) not in queue_lines(seen)


def test_thinned_times_keep_one_distance_up_to_the_newest() -> None:
    steps = np.diff(total_fan().times_s)

    assert steps[:-1] == pytest.approx(1500, abs=1)
    assert 300 <= steps[-1] <= 1500


def test_bands_are_80_and_95_percent() -> None:
    assert [band.share for band in total_fan().bands] == ["95 %", "80 %"]


def test_bands_that_were_not_forecast_are_not_claimed() -> None:
    real = samples.cycle()
    few = replace(real.forecast, quantiles=(0.2, 0.5, 0.7), gpus=real.forecast.gpus[:, :, [2, 5, 7]])

    fan = fan_of(replace(real, forecast=few), TOTAL)

    assert [band.share for band in fan.bands] == ["50 %"]


def test_capacity_follows_what_is_approved_and_what_is_coming() -> None:
    assert total_fan().limit == ((0.0, 200.0), (0.0, 184.0), (360.0, 192.0), (360.0, 208.0))


def test_what_was_held_back_moves_no_line() -> None:
    fan = fan_of(samples.cycle(), Line("vision-research", GPU))

    assert fan.limit == ((0.0, 16.0),)


def test_an_approved_quota_moves_the_line_of_its_queue() -> None:
    fan = fan_of(samples.cycle(), Line("post-training", GPU))

    assert fan.limit == ((0.0, 24.0), (0.0, 30.0))


def test_queues_come_largest_first() -> None:
    assert [line.queue for line in queue_lines(samples.cycle())][:2] == ["pretraining", "inference-prod"]


def test_a_queue_that_only_has_quota_is_still_told() -> None:
    empty = samples.empty()

    lines = queue_lines(replace(empty, state=replace(empty.state, queues=(queue("new"),))))

    assert lines == [Line("new", GPU)]


def test_a_wild_tail_does_not_flatten_the_picture() -> None:
    real = samples.cycle()
    table = real.forecast.gpus.copy()
    table[:, :, -2:] *= 50
    wild = fan_of(replace(real, forecast=replace(real.forecast, gpus=table)), TOTAL)

    assert top_of(wild) < 450


@pytest.mark.parametrize("frame", [WIDE, NARROW, SMALL])
def test_a_chart_is_well_formed_and_keeps_to_its_frame(frame: Frame) -> None:
    chart = fan_chart(total_fan(), frame, "c1", "all queues")

    root = Xml.fromstring(str(chart))
    assert root.attrib["aria-labelledby"] == "c1-t c1-d"
    xs = [float(x) for d in re.findall(r' d="([^"]*)"', chart) for x, _ in re.findall(r"([-\d.]+) ([-\d.]+)", d)]
    assert 0 <= min(xs) <= max(xs) <= frame.width


def test_a_chart_tells_its_numbers_in_words() -> None:
    chart = str(fan_chart(total_fan(), SMALL, "c", "all queues"))

    assert "80 % between 168 and 216" in chart
    assert "limit 200 GPUs, 208 after approved changes" in chart


@pytest.mark.parametrize("gpus", [8, 144, 1_234_567])
def test_a_label_at_the_edge_has_room_however_long_it_is(gpus: int) -> None:
    fan = replace(total_fan(), limit=((0.0, float(gpus)), (3_600.0, gpus + 16.0)))

    edge = re.search(r'<text x="([\d.]+)" y="[\d.]+" class="label strong">', str(fan_chart(fan, WIDE, "c", "all")))

    assert edge is not None
    assert float(edge[1]) + LETTER["label strong"] * len(limit_words(fan)) <= WIDE.width


def test_labels_at_the_edge_never_touch() -> None:
    real = samples.cycle()
    flat = replace(real.forecast, gpus=np.full_like(real.forecast.gpus, 200.0))

    fan = fan_of(replace(real, forecast=flat), TOTAL)
    chart = fan_chart(fan, WIDE, "c", "all queues")

    edge = WIDE.width - roomy(WIDE, fan).right + BESIDE
    ys = sorted(float(y) for x, y in re.findall(r'<text x="([\d.]+)" y="([\d.]+)"', chart) if float(x) == edge)
    assert len(ys) == 6
    assert min(np.diff(ys)) >= 14.9


def test_gpu_ticks_are_round_and_whole() -> None:
    assert gpu_ticks(233) == [0, 100, 200]
    assert gpu_ticks(1.1) == [0, 1]


def test_time_ticks_are_round_moments_in_utc() -> None:
    start = int(datetime(2026, 3, 1, 22, 7, tzinfo=UTC).timestamp())

    ticks = time_ticks(start, start + 12 * 3600, about=5)

    assert [time_label(t) for t in ticks] == ["2 Mar", "03:00", "06:00", "09:00"]


def test_labels_at_an_edge_stand_within_the_picture_and_are_not_lost() -> None:
    assert beside(40.0, 38.0, 354.0) == (38.0, "start")
    assert beside(196.0, 38.0, 354.0) == (196.0, "middle")
    assert beside(350.0, 38.0, 354.0) == (354.0, "end")


def test_every_tick_of_a_small_chart_has_its_label() -> None:
    seen = total_fan()
    fan = replace(seen, times_s=seen.times_s - seen.times_s[0] % 172_800)  # begins where a tick is

    drawn = str(fan_chart(fan, SMALL, "f", "all queues"))

    ticks = time_ticks(int(fan.begin_s), int(fan.end_s), SMALL.time_ticks)
    assert ticks[0].timestamp() == fan.begin_s
    assert [f">{time_label(tick)}</text>" in drawn for tick in ticks] == [True] * len(ticks)


@pytest.mark.parametrize("hours", [1, 7, 30, 100, 24 * 400])
def test_there_are_never_too_many_ticks(hours: int) -> None:
    assert 1 <= len(time_ticks(0, hours * 3600, about=5)) <= 6


def test_a_pool_shows_busy_idle_coming_and_where_it_goes() -> None:
    bar = pool_bar(pool(idle_gpus=8, nodes=5, dial_value=5), after_gpus=48, scale_gpus=64, ident="p")

    assert re.findall(r'x="([\d.]+)" y="6" width="([\d.]+)" height="16" class="(\w+)"', bar) == [
        ("0", "1000", "room"),
        ("500", "125", "coming"),
        ("375", "125", "idle"),
        ("0", "375", "busy"),
    ]
    assert 'class="after"' in bar


def test_a_pool_without_a_maximum_claims_no_room_to_grow() -> None:
    bar = pool_bar(pool(idle_gpus=8, max_nodes=None), after_gpus=32, scale_gpus=64, ident="p")

    assert 'width="500" height="16" class="room"' in bar  # as wide as the GPUs that are there


def test_idle_gpus_that_were_not_seen_are_not_drawn_as_idle() -> None:
    bar = pool_bar(pool(idle_gpus=float("nan")), after_gpus=32, scale_gpus=64, ident="p")

    assert 'class="unseen"' in bar
    assert 'class="idle"' not in bar


def test_a_pool_that_stays_has_no_mark() -> None:
    assert 'class="after"' not in pool_bar(pool(), after_gpus=32, scale_gpus=64, ident="p")


def test_a_whisker_runs_from_low_to_high_around_zero() -> None:
    drawn = whisker(Interval(-10, 0, 10), (-10, 10))

    assert '<line x1="5" y1="8" x2="91" y2="8" class="whisker">' in drawn
    assert 'cx="48"' in drawn


def test_what_is_not_known_has_no_whisker() -> None:
    nan = float("nan")

    assert whisker(Interval(nan, nan, nan), (-1, 1)) == ""
    assert extent_of([Interval(nan, nan, nan), Interval(2, 3, 4)]) == (0.0, 4)


def test_every_text_and_attribute_goes_through_one_door() -> None:
    assert tag("text", "<b>", class_='"x') == '<text class="&#34;x">&lt;b&gt;</text>'


def test_the_limit_of_a_pool_size_and_a_shrink_come_at_once() -> None:
    real = samples.cycle()
    shrink = action(Dial.POOL_SIZE, 4, 3)
    one = replace(real, state=replace(real.state, pools=(pool(),)), verdicts=(Verdict(shrink),), outcomes=())

    assert fan_of(one, TOTAL).limit == ((0.0, 32.0), (0.0, 24.0))


def test_the_picture_stands_alone_on_its_own_card() -> None:
    picture = total_picture(samples.cycle())

    root = Xml.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert 'class="card"' in picture
    assert "5 changes would save about $412" in picture
    assert "var(--ink)" in picture
    assert "Nothing was changed." in picture


def test_the_picture_of_nothing_says_so() -> None:
    assert "No demand was seen." in total_picture(samples.empty())


def test_a_forecast_of_minutes_still_has_hours_of_history() -> None:
    real = samples.cycle()
    short = replace(real.forecast, horizons=(timedelta(minutes=5),), gpus=real.forecast.gpus[:, :1])

    fan = fan_of(replace(real, forecast=short), TOTAL)

    assert fan.now_s - fan.begin_s >= 5.9 * 3600
    assert fan.now_s == NOW.timestamp()


def test_totals_are_per_resource() -> None:
    assert totals(samples.cycle()) == [TOTAL]
