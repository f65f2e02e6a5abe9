"""Worlds: the jobs that people submit, and what becomes of them on a cluster.

`workloads` generates jobs and `job_file` reads them; `replay` runs them through queues with quotas, by Kueue's rules,
and `fixed` on a plain cluster, first come first served. Their loops are in `compiled`. Chance is an argument
everywhere: the same generator state gives the same world, bit for bit.
"""

from gyropilot.announced import announce

announce()
