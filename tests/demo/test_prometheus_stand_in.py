import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from gyropilot.demo.loopback import served
from gyropilot.demo.prometheus_stand_in import PrometheusStandIn
from gyropilot.demo.series import Vector

HALF = Vector(({"queue": "a"}, {"queue": "b"}), lambda s: np.array([s / 2, np.where(s < 100, np.nan, 7.5)]))


@pytest.fixture
def url() -> Iterator[str]:
    with served(PrometheusStandIn({"half": HALF}, now_s=90.0)) as url:
        yield url


def ask(url: str, what: str, **given: Any) -> requests.Response:
    return requests.post(f"{url}/api/v1/{what}", data=given, timeout=5)


def test_answers_an_instant_without_series_that_were_not_seen(url: str) -> None:
    data = ask(url, "query", query="half", time=10).json()["data"]

    assert data == {"resultType": "vector", "result": [{"metric": {"queue": "a"}, "value": [10, "5"]}]}


def test_an_instant_is_now_where_none_is_told(url: str) -> None:
    assert ask(url, "query", query="half").json()["data"]["result"][0]["value"] == [90, "45"]


def test_answers_a_range_on_its_grid_by_post_and_by_get(url: str) -> None:
    given: dict[str, Any] = {"query": "half", "start": 40, "end": 140, "step": 50}

    posted = ask(url, "query_range", **given).json()
    got = requests.get(f"{url}/api/v1/query_range", params=given, timeout=5).json()

    assert posted == got
    assert posted["data"]["result"] == [
        {"metric": {"queue": "a"}, "values": [[40, "20"], [90, "45"], [140, "70"]]},
        {"metric": {"queue": "b"}, "values": [[140, "7.5"]]},
    ]


def test_refuses_a_query_that_it_does_not_know_with_a_sentence(url: str) -> None:
    answer = ask(url, "query", query="up")

    assert answer.status_code == 422
    assert answer.json()["error"] == "the demo's Prometheus answers Gyropilot's own queries only, not up"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"start": 0, "end": 1_000_000, "step": 1}, "exceeded maximum resolution of 11,000 points"),
        ({"start": 0, "end": 10, "step": 0}, "zero or negative"),
        ({"start": 10, "end": 0, "step": 1}, "end timestamp must not be before start time"),
        ({"start": "noon", "end": 10, "step": 1}, "cannot parse 'noon'"),
        ({"start": 0, "end": 10}, '"step": it is missing'),
    ],
)
def test_refuses_ranges_as_prometheus_does(url: str, given: dict[str, Any], says: str) -> None:
    answer = ask(url, "query_range", query="half", **given)

    assert answer.status_code == 400
    assert says in answer.json()["error"]


def test_knows_no_other_paths(url: str) -> None:
    assert requests.get(f"{url}/api/v1/alerts", timeout=5).status_code == 404
    assert requests.get(f"{url}/-/ready", timeout=5).status_code == 200


def test_nothing_of_it_remains() -> None:
    before = threading.active_count()

    with served(PrometheusStandIn({}, 0.0)) as url:
        assert requests.get(f"{url}/-/ready", timeout=5).ok

    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/-/ready", timeout=5)
