"""A scenario's preemption and fair sharing, as they are told and as they are simulated."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from envs import scenario as told_scenario
from envs import scenario_faults, scenario_pools, scenario_prices, scenario_queues, scenario_services
from envs.faults import Bias, Blind, Demand, Outage, Stuck
from envs.replay import FAIR, Preemption
from envs.scenario import Scenario, read_scenario, refuse_changes, refuse_unsteered
from envs.terms import Speed
from gyropilot.errors import SettingsError

PARTS = (told_scenario, scenario_faults, scenario_pools, scenario_prices, scenario_queues, scenario_services)


def scenario(folder: Path, more: str = "", **queue: str) -> Scenario:
    lines = "".join(f"    {name}: {told}\n" for name, told in queue.items())
    path = folder / "cluster.yaml"
    path.write_text(f"flavors: {{h100: 8}}\nqueues:\n  a:\n    shares: {{h100: {{nominal: 8}}}}\n{lines}{more}\n")
    return read_scenario(path)


def test_the_sample_names_every_field_that_a_scenario_may_have() -> None:
    named = set(re.findall("[a-z_]+", told_scenario.SAMPLE))

    fields = {
        field
        for module in PARTS
        for part in vars(module).values()
        if isinstance(part, type) and issubclass(part, BaseModel)
        for field in part.model_fields
    }

    assert {"nodes", "nominal", "at_h", "per_s"} < fields
    assert fields - named == set()


def test_nobody_stops_and_shares_do_not_count_unless_told(tmp_path: Path) -> None:
    found = scenario(tmp_path)

    assert not found.cluster.contested
    refuse_unsteered(found)


def test_what_a_restart_costs_is_told_once_for_the_replay_and_the_world(tmp_path: Path) -> None:
    found = scenario(tmp_path, "restart_s: 45")

    assert found.cluster.restart_s == found.world.restart_s == 45


def test_lead_times_that_were_measured_take_the_place_of_a_median(tmp_path: Path) -> None:
    pool = "flavors: {{own: 8, bought: {{nodes: 0, max_nodes: 4, lead_times_s: [300, 60, 900]{}}}}}\n"
    pool += "queues: {{a: {{shares: {{own: {{nominal: 8}}}}}}}}\n"
    path = tmp_path / "cluster.yaml"
    path.write_text(pool.format(""))

    lead = read_scenario(path).pools[1].lead

    assert (lead.median_s, lead.shortest_s) == (300, 60)
    path.write_text(pool.format(", lead_s: 300"))
    with pytest.raises(SettingsError, match=r"flavors.bought tells lead_times_s and lead_s; leave one of them out"):
        read_scenario(path)


def test_policies_and_weights_are_those_that_are_told(tmp_path: Path) -> None:
    found = scenario(tmp_path, "fair_sharing: true", weight="2", preemption="{within: lower_priority, reclaim: any}")

    for one in (found.cluster, found.world):
        assert one.preemption == {"a": Preemption("lower_priority", "any")}
        assert one.fair_sharing == FAIR
        assert one.weights == {"a": 2.0}


def test_one_rule_of_fair_sharing_may_be_told(tmp_path: Path) -> None:
    assert scenario(tmp_path, "fair_sharing: [less_than_initial_share]").cluster.fair_sharing == FAIR[1:]


@pytest.mark.parametrize(
    ("told", "meant"), [("1.6", 1.6), ("{training: 2.0, inference: 1.2}", {"training": 2.0, "inference": 1.2})]
)
def test_a_flavor_has_one_speed_or_one_for_each_kind_of_job(told: str, meant: Speed, tmp_path: Path) -> None:
    found = read_scenario(with_speed(tmp_path, told))

    assert found.pools[0].speed == meant
    assert found.cluster.speed == {"h100": meant}


@pytest.mark.parametrize(
    "told", ["0", "-1", "fast", ".inf", "true", "{trainin: 2.0}", "{training: 0}", "{sweep: fast}"]
)
def test_a_speed_that_is_none_is_refused(told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"h100\.speed: give a number above 0, or one for some of"):
        read_scenario(with_speed(tmp_path, told))


def with_speed(folder: Path, told: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(
        f"flavors: {{h100: {{nodes: 1, speed: {told}}}}}\nqueues: {{a: {{shares: {{h100: {{nominal: 8}}}}}}}}"
    )
    return path


@pytest.mark.parametrize(
    ("more", "queue", "why"),
    [
        ("", {"weight": "2"}, "queues.a.weight counts with fair_sharing alone"),
        ("", {"preemption": "{borrow: lower_priority}"}, "has to reclaim"),
        ("", {"preemption": "{within: sometimes}"}, "queues.a.preemption.within: input should be 'never'"),
        ("fair_sharing: true", {"preemption": "{reclaim: any, borrow: lower_priority}"}, "fair sharing leaves out"),
        ("fair_sharing: true", {"weight": "1.0e-9"}, "has weight 1e-09"),
    ],
)
def test_what_is_not_simulated_is_refused(more: str, queue: dict[str, str], why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=why):
        scenario(tmp_path, more, **queue)


def test_where_jobs_may_stop_others_one_start_of_each_does_not_tell_it_all(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="add --pilot hold"):
        refuse_unsteered(scenario(tmp_path, preemption="{within: lower_priority}"))


PLACES = """flavors:
  east: {nodes: 1, provider: aws, region: us-east-1}
  west: {nodes: 1, provider: aws, region: us-west-2}
queues:
  a: {shares: {east: {nominal: 8}, west: {nominal: 8}}, region: eu-west-1}
"""


def placed(folder: Path, more: str = "", **words: str) -> Scenario:
    text = PLACES
    for before, after in words.items():
        text = text.replace(before, after)
    path = folder / "cluster.yaml"
    path.write_text(text + more)
    return read_scenario(path)


def test_pools_and_data_are_where_that_is_told_and_egress_has_its_price(tmp_path: Path) -> None:
    found = placed(tmp_path, "prices: {egress_usd_per_gb: {eu-west-1: {us-east-1: 0.05}}}\n")

    assert [(pool.provider, pool.region) for pool in found.pools] == [("aws", "us-east-1"), ("aws", "us-west-2")]
    assert found.world.homes == {"a": "eu-west-1"}
    assert found.paid.egress_usd_per_gb == {"eu-west-1": {"us-east-1": 0.05}}
    assert placed(tmp_path, "prices: {egress_usd_per_gb: 0.02}").paid.egress_usd_per_gb == 0.02


def test_a_price_to_nowhere_and_a_region_of_two_providers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="names us-east-2, no region; there are eu-west-1, us-east-1, us-west-2"):
        placed(tmp_path, "prices: {egress_usd_per_gb: {eu-west-1: {us-east-2: 0.05}}}")
    with pytest.raises(SettingsError, match=r"region us-east-1 is of aws and of gcp \(flavors.west\)"):
        placed(tmp_path, **{"aws, region: us-west-2": "gcp, region: us-east-1"})


def test_data_that_would_leave_an_unknown_region_for_nothing_is_refused(tmp_path: Path) -> None:
    prices = "prices: {egress_usd_per_gb: {us-west-2: {us-east-1: 0.05}}}"

    with pytest.raises(SettingsError, match=r"queues.a.region is eu-west-1, where no pool is and from which no egress"):
        placed(tmp_path, prices)
    assert placed(tmp_path, prices, **{"eu-west-1": "us-west-2"}).world.homes == {"a": "us-west-2"}


FAULTS = """faults:
  - {kind: outage, pool: h100, at_h: 24, lasts_h: 6, share: 0.5}
  - {kind: stuck-provisioning, at_h: 1, lasts_h: 2}
  - {kind: burst, queue: a, at_h: 2, lasts_h: 3, times: 4}
  - {kind: demand-shift, at_h: 5, times: 0.5}
  - {kind: forecast-bias, at_h: 6, lasts_h: 1, times: 1.5}
  - {kind: metric-loss, at_h: 7, lasts_h: 1}
"""


def test_faults_are_those_that_are_told(tmp_path: Path) -> None:
    hour_s = 3_600.0

    assert scenario(tmp_path, FAULTS).surprises == (
        Outage(at_s=24 * hour_s, lasts_s=6 * hour_s, pool="h100", share=0.5),
        Stuck(at_s=hour_s, lasts_s=2 * hour_s),
        Demand(at_s=2 * hour_s, lasts_s=3 * hour_s, times=4.0, queue="a"),
        Demand(at_s=5 * hour_s, times=0.5),
        Bias(at_s=6 * hour_s, lasts_s=hour_s, times=1.5),
        Blind(at_s=7 * hour_s, lasts_s=hour_s),
    )


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("{kind: outage, pool: h200, at_h: 1, lasts_h: 1}", r"a fault \(outage\) names h200; there are h100"),
        ("{kind: burst, queue: b, at_h: 1, lasts_h: 1, times: 2}", r"a fault \(burst\) names b; there are a"),
        ("{kind: flood, at_h: 1}", "faults.0: input tag 'flood'"),
        ("{kind: outage, at_h: 1}", "faults.0.outage.lasts_h: field required"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(fault: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=why):
        scenario(tmp_path, f"faults: [{fault}]")


def test_who_cuts_jobs_into_days_refuses_what_has_a_moment(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="so faults have no moment; leave them out"):
        refuse_changes(scenario(tmp_path, FAULTS), "tune")


def test_faults_need_somebody_who_steers(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="add --pilot hold"):
        refuse_unsteered(scenario(tmp_path, FAULTS))
