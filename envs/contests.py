"""A cluster's rules for whom jobs may stop, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from envs.compiled.quotas import Ledger, Rules
    from envs.compiled.stops import Contest, Policies
    from envs.replay import Cluster
    from envs.workloads import JobTable


def contest(jobs: JobTable, cluster: Cluster, rules: Rules, ledger: Ledger, room: int = 0) -> Contest | None:
    """Before anybody was stopped, with `room` to write down when those ran who are; None where nobody may be.

    Nothing may be in use yet.
    """
    from envs.compiled.stops import Contest, Spells

    if not cluster.contested:
        return None
    count, queues = len(jobs), len(jobs.queues)
    nobody, none, never = np.zeros((3, count), dtype=np.int64), np.zeros((3, room), dtype=np.int64), np.zeros((2, room))
    return Contest(
        _policies(jobs, cluster, rules, ledger),
        jobs.priority,
        np.zeros(count, dtype=np.bool_),
        np.zeros(1, dtype=np.int64),
        np.zeros((queues, count), dtype=np.bool_),
        nobody[0],
        np.zeros(count, dtype=np.bool_),
        nobody[1],
        nobody[2],
        np.zeros(queues, dtype=np.bool_),
        np.zeros(queues, dtype=np.bool_),
        np.zeros(1),
        Spells(np.zeros(1, dtype=np.int64), none[0], none[1], none[2], never[0], never[1]),
    )


def requoted(policies: Policies, rules: Rules, b: int) -> None:
    """Counts anew what queues of one of several clusters could have, and lend, after its quotas changed."""
    cohort, lends = rules.cohort[b], np.zeros_like(rules.nominal[b])
    np.add.at(lends, cohort, rules.nominal[b] - rules.kept[b])
    policies.most[b] = np.minimum(rules.kept[b] + lends[cohort], rules.most[b])
    policies.lends[b] = lends.sum(axis=1)


def _policies(jobs: JobTable, cluster: Cluster, rules: Rules, ledger: Ledger) -> Policies:
    from envs.compiled import contest as core
    from envs.compiled.stops import Policies
    from envs.replay import FAIR, Preemption

    codes = {
        "never": core.NEVER,
        "lower_priority": core.LOWER,
        "lower_or_newer_equal_priority": core.LOWER_OR_NEWER,
        "any": core.ANY,
    }
    told = [cluster.preemption.get(queue, Preemption()) for queue in jobs.queues]
    any_lower = np.iinfo(np.int64).max
    borrow_up_to = [
        core.NOBODY_BELOW if p.borrow == "never" else any_lower if p.borrow_up_to is None else p.borrow_up_to
        for p in told
    ]
    fair = {FAIR[0]: core.FINAL, FAIR[1]: core.INITIAL}
    return Policies(
        np.array([codes[p.within] for p in told], dtype=np.int64),
        np.array([codes[p.reclaim] for p in told], dtype=np.int64),
        np.array(borrow_up_to, dtype=np.int64),
        np.array([queue not in cluster.cohorts for queue in jobs.queues], dtype=np.bool_),
        np.minimum(rules.kept + ledger.free[rules.cohort], rules.most),
        np.array([cluster.weights.get(queue, 1.0) for queue in jobs.queues], dtype=np.float64),
        ledger.free.sum(axis=1).astype(np.float64),
        sum(fair[rule] for rule in cluster.fair_sharing),
    )
