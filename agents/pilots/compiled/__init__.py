"""Loops of a few dozen numbers, for which each call of numpy's would take longer than all of the work.

Modules of this room import numba, which takes half a second: functions that need them import them when called.
"""
