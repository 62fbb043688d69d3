"""A stopped site for the tests of doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.init_site import set_up
from shared.settings import Settings
from shared.store import backups
from shared.store.recorder import Recorder
from tests.unit.factories import minute_at, reading, verdict


@pytest.fixture
def site(tmp_path: Path) -> Settings:
    """A stopped site with ten readings, their verdicts and a backup."""
    settings = Settings(data=tmp_path / "data")
    set_up(settings.data)
    recorder = Recorder(settings.database, settings.zone, (0,))
    recorder.write([*(reading(minute) for minute in range(10)), *(verdict(minute) for minute in range(10))])
    recorder.close()
    backups.create_backup(settings.database, settings.backups, minute_at(30), lambda *_: None)
    return settings
