"""Fixtures that all tests may ask for."""

from __future__ import annotations

import pytest

from forecasting.mixture import experts
from tests.controlplane.fixtures import clean_plane, control_plane, full_plane
from tests.servers import start_prometheus

__all__ = ["clean_plane", "control_plane", "full_plane", "start_prometheus"]


@pytest.fixture(autouse=True)
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mixture's experts are those of every installation, whatever is installed here."""
    monkeypatch.setattr(experts, "find_spec", lambda name: None)
