"""Loops that numpy would take ten times as long for.

Modules of this room import numba, which takes half a second: functions that need them import them when called.
"""
