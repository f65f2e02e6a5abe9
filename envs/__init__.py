"""Worlds: the jobs that people submit, and what becomes of them on a cluster.

`workloads` generates jobs, `replay` runs them through queues with quotas, first come first served. Chance is an
argument everywhere: the same generator state gives the same world, bit for bit.
"""
