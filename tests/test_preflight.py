"""`gyropilot check`: what is needed is found, or missing with the fix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyropilot.demo import Demo, serve
from gyropilot.preflight import Finding, findings, to_text
from gyropilot.settings import KubernetesSettings, PrometheusSettings, Settings

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def world() -> Iterator[Demo]:
    with serve() as demo:
        yield demo


def missing(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.required and not each.found]


def test_everything_that_a_plan_needs_is_found_in_the_demo(world: Demo) -> None:
    found = findings(world.settings, world.now)

    assert missing(found) == []
    assert {each.kind for each in found} == {"server", "metric", "kind", "permission"}
    assert to_text(found).splitlines()[-1] == "everything that a plan needs is there"


def test_what_is_missing_is_said_with_its_fix_and_the_rest_is_still_looked_for(world: Demo) -> None:
    settings = Settings(kubernetes=world.settings.kubernetes)

    found = findings(settings, world.now)

    (prometheus,) = missing(found)
    assert (prometheus.kind, prometheus.exit_code) == ("server", 2)
    assert "give --prometheus URL" in prometheus.fix
    assert "Kubernetes API at http://127.0.0.1" in to_text(found)


def test_servers_that_do_not_answer_are_unreachable(world: Demo, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(re.sub(r"http://127\.0\.0\.1:\d+", NOBODY, world.kubeconfig.read_text()))
    silent = Settings(
        prometheus=PrometheusSettings(url=NOBODY, retries=0),
        kubernetes=KubernetesSettings(kubeconfig=config, retries=0),
    )

    assert [each.exit_code for each in missing(findings(silent, world.now))] == [4, 4]


def test_a_password_in_the_address_of_prometheus_is_not_shown(world: Demo) -> None:
    settings = Settings(prometheus=PrometheusSettings(url="http://me:hunter2@p"), kubernetes=world.settings.kubernetes)

    told = to_text(findings(settings, world.now))

    assert "MISSING  Prometheus at http://me:***@p" in told
    assert "hunter2" not in told
