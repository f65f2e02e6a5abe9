"""An empty PostgreSQL database, where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine

from gyropilot.journal.schema import metadata


@pytest.fixture
def postgres() -> Iterator[str]:
    url = os.environ.get("GYROPILOT_TEST_POSTGRES", "")
    if not url:
        pytest.skip("set GYROPILOT_TEST_POSTGRES to the SQLAlchemy URL of an empty PostgreSQL database")
    yield url
    engine = create_engine(url)
    metadata.drop_all(engine)
    engine.dispose()
