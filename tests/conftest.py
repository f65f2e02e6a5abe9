"""Fixtures that all tests may ask for."""

from __future__ import annotations

from tests.controlplane.fixtures import clean_plane, control_plane, full_plane
from tests.servers import start_prometheus

__all__ = ["clean_plane", "control_plane", "full_plane", "start_prometheus"]
