"""What the daemon tells about itself."""

from __future__ import annotations

import re
import threading
from collections import UserDict
from collections.abc import ItemsView
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gyropilot.domain import Cycle, Dial, Intent, Objection, Outcome, OutcomeStatus, Realised, Trust, Verdict, Voice
from gyropilot.metrics import Telemetry
from tests.fakes import GPU, NOW, action, forecast, pool, queue, state

DOCS = Path(__file__).parent.parent / "docs" / "metrics.md"


def cycle() -> Cycle:
    wanted, held = action(Dial.POOL_SIZE, 4, 5), action()
    return Cycle(
        NOW,
        state([pool()], [queue(running=8, pending=4)]),
        forecast({"research": 12.0}),
        Intent("newsvendor"),
        (Verdict(wanted), Verdict(held, (Objection("pause", "paused"), Objection("cooldown", "turned 2 min ago")))),
        (Outcome(wanted, OutcomeStatus.REHEARSED, "the API server would take it"),),
    )


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(f"gyropilot_{name}", labels)


def test_a_cycle_is_counted_by_dial_verdict_rule_and_status() -> None:
    telemetry = Telemetry()

    telemetry.record(cycle(), 0.5)

    assert value(telemetry, "actions_total", dial="pool-size", verdict="approved") == 1
    assert value(telemetry, "actions_total", dial="queue-quota", verdict="held back") == 1
    assert value(telemetry, "objections_total", rule="cooldown") == 1
    assert value(telemetry, "outcomes_total", dial="pool-size", status="rehearsed") == 1
    assert value(telemetry, "queue_demand_gpus", queue="research", resource=GPU) == 12
    assert value(telemetry, "forecast_gpus", queue="research", resource=GPU, horizon="1h", quantile="0.5") == 12
    assert value(telemetry, "pool_gpus", pool="h100", resource=GPU) == 32


def test_how_far_a_forecast_is_to_be_trusted_is_exported() -> None:
    trust = Trust(
        fitted_at=NOW,
        voices=(Voice("next hour", "forest", 0.75), Voice("next hour", "naive", 0.25)),
        realised=(
            Realised("queues", "next hour", 0.8, 0.79, 120.0),
            Realised("totals", "1-6h", 0.95, 0.9, 40.0),
            Realised("cohorts", "6-24h", 0.8, 0.7, 80.0),
        ),
        shifted=2,
    )
    telemetry = Telemetry()

    telemetry.record(replace(cycle(), forecast=replace(forecast({"research": 12.0}), trust=trust)), 0.5)

    assert value(telemetry, "forecast_coverage_ratio", group="queues", bucket="next hour", nominal="0.8") == 0.79
    assert value(telemetry, "forecast_coverage_ratio", group="totals", bucket="1-6h", nominal="0.95") == 0.9
    assert value(telemetry, "forecast_coverage_ratio", group="cohorts", bucket="6-24h", nominal="0.8") == 0.7
    assert value(telemetry, "forecast_expert_share", expert="forest", bucket="next hour") == 0.75
    assert value(telemetry, "forecast_shifted_lines") == 2
    assert value(telemetry, "forecaster_fitted_timestamp_seconds") == NOW.timestamp()


def test_an_expert_that_is_not_asked_any_more_is_not_exported_for_ever() -> None:
    telemetry, told = Telemetry(), forecast({"research": 12.0})
    heard = replace(told, trust=Trust(voices=(Voice("next hour", "forest", 1.0),)))
    telemetry.record(replace(cycle(), forecast=heard), 0.5)

    telemetry.record(replace(cycle(), forecast=told), 0.5)

    assert value(telemetry, "forecast_expert_share", expert="forest", bucket="next hour") is None


def test_a_queue_that_is_gone_is_not_exported_for_ever() -> None:
    telemetry = Telemetry()
    telemetry.record(cycle(), 0.5)

    telemetry.record(replace(cycle(), state=state([pool()], [queue("vision")])), 0.5)

    assert value(telemetry, "queue_demand_gpus", queue="research", resource=GPU) is None


def test_a_scrape_sees_the_figures_of_a_cycle_whole() -> None:
    telemetry = Telemetry()
    scraped: list[bytes] = []
    scraper = threading.Thread(target=lambda: scraped.append(telemetry.exposition()))

    class Scraping(UserDict[str, timedelta]):
        """Is scraped while it is being recorded, when the old figures are cleared already."""

        def items(self) -> ItemsView[str, timedelta]:
            scraper.start()
            scraper.join(0.2)
            return super().items()

    telemetry.record(cycle(), 0.5)
    telemetry.record(replace(cycle(), state=replace(cycle().state, freshness=Scraping())), 0.5)
    scraper.join()

    assert b"gyropilot_pool_gpus{" in scraped[0]


def test_the_docs_list_every_metric_and_no_other() -> None:
    exported = {
        family.name + ("_total" if family.type == "counter" else "") for family in Telemetry().registry.collect()
    }

    listed = set(re.findall(r"^\| `(gyropilot_\w+)` \|", DOCS.read_text(), re.MULTILINE))

    assert listed == exported
