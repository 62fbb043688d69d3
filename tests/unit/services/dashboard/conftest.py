"""A stored site for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.services.dashboard.stored_site import StoredSite


@pytest.fixture
def site(tmp_path: Path) -> Iterator[StoredSite]:
    stored = StoredSite(tmp_path)
    yield stored
    stored.close()
