"""A wvr.db of a newer WVR is not written by an older one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from shared.runtime.service import Unavailable
from shared.store import schema
from shared.store.recorder import Recorder

SEOUL = ZoneInfo("Asia/Seoul")


def test_an_older_wvr_waits_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "wvr.db"
    assert schema.newer(path) == ""
    Recorder(path, SEOUL, (0,)).close()
    assert schema.newer(path) == ""
    with closing(sqlite3.connect(path)) as source, source:
        source.execute("INSERT INTO schema_migration (name, applied) VALUES ('0099_tomorrow', '2030-01-01')")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"written by a newer WVR \(it has 0099_tomorrow\)"):
            Recorder(path, SEOUL, (0,))
    assert path.read_bytes() == before


def test_what_is_no_database_is_not_called_newer(tmp_path: Path) -> None:
    (tmp_path / "wvr.db").write_bytes(b"no database" * 1000)
    assert schema.newer(tmp_path / "wvr.db") == ""
