"""A scenario's preemption and fair sharing, as they are told and as they are simulated."""

from pathlib import Path

import pytest

from envs.replay import FAIR, Preemption
from envs.scenario import Scenario, read_scenario, refuse_contested
from gyropilot.errors import SettingsError


def scenario(folder: Path, more: str = "", **queue: str) -> Scenario:
    lines = "".join(f"    {name}: {told}\n" for name, told in queue.items())
    path = folder / "cluster.yaml"
    path.write_text(f"flavors: {{h100: 8}}\nqueues:\n  a:\n    shares: {{h100: {{nominal: 8}}}}\n{lines}{more}\n")
    return read_scenario(path)


def test_nobody_stops_and_shares_do_not_count_unless_told(tmp_path: Path) -> None:
    found = scenario(tmp_path)

    assert not found.cluster.contested
    refuse_contested(found)


def test_policies_and_weights_are_those_that_are_told(tmp_path: Path) -> None:
    found = scenario(tmp_path, "fair_sharing: true", weight="2", preemption="{within: lower_priority, reclaim: any}")

    for one in (found.cluster, found.world):
        assert one.preemption == {"a": Preemption("lower_priority", "any")}
        assert one.fair_sharing == FAIR
        assert one.weights == {"a": 2.0}


def test_one_rule_of_fair_sharing_may_be_told(tmp_path: Path) -> None:
    assert scenario(tmp_path, "fair_sharing: [less_than_initial_share]").cluster.fair_sharing == FAIR[1:]


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
        refuse_contested(scenario(tmp_path, preemption="{within: lower_priority}"))
