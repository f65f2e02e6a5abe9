"""What queues ask for is added up, and who asks is told."""

from agents.asked import asked
from tests.fakes import GPU, queue, state


def test_what_runs_and_what_waits_is_added_up_and_stopped_queues_are_told_apart() -> None:
    tenants = [
        queue("busy", running=8.0),
        queue("idle"),
        queue("waits", pending=4.0),
        queue("stopped", running=2.0, pending=1.0, active=False),
    ]

    found = asked(state(queues=tenants), GPU)

    assert (found.running, found.pending, found.demand) == (10.0, 5.0, 15.0)
    assert (found.stopped_running, found.stopped_pending) == (2.0, 1.0)
    assert [q.name for q in found.by] == ["busy", "waits", "stopped"]


def test_nobody_asks_for_what_is_not_known() -> None:
    assert asked(state(queues=[queue("busy", running=8.0)]), "amd.com/gpu").by == ()
