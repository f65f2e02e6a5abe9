"""Services as they would come of clusters, without any being run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.loads import MadeLoad
from envs.served import Served, served
from envs.services import Service, replicas, wanted

CHAT = Service("chat", "serving", capacity_per_s=2.0, concurrency=8, target_s=20.0, max_replicas=40)
API = replace(CHAT, name="api", capacity_per_s=800.0, tokens_per_request=400.0)


def answered(service: Service = CHAT, *, per_s: float = 20.0, gone: float = 0.0, days: float = 1.0) -> Served:
    """A day of load; in the middle third so large a share of replicas is gone."""
    load = MadeLoad(per_s, days, bursts_per_day=3.0).drawn(np.random.default_rng(1))
    found = wanted(service, load)
    jobs = replicas(service, found, (service.queue,))
    begin_s, end_s = jobs.submit_s, jobs.submit_s + jobs.leaves_s
    hit = np.arange(len(jobs)) < gone * len(jobs)
    first, last = load.end_s / 3, 2 * load.end_s / 3
    spells = [
        (np.where(hit, np.minimum(begin_s, first), begin_s), np.where(hit, np.minimum(end_s, first), end_s)),
        (np.maximum(begin_s, last)[hit], end_s[hit]),
    ]
    begins_s, ends_s = (np.concatenate(times) for times in zip(*spells, strict=True))
    return served(service, load, found, (begins_s[begins_s < ends_s], ends_s[begins_s < ends_s]))
