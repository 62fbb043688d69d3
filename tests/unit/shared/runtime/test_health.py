"""Health of a service through clock jumps."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from shared.contract.status_codes import Problem
from shared.contract.texts import technical
from shared.runtime.health import (
    HEARTBEAT_BYTES,
    STALE_SECONDS,
    StatusFactory,
    heartbeat_age,
    main,
    read_heartbeat,
    write_heartbeat,
)


@pytest.fixture
def heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WVR_HEARTBEAT", str(tmp_path / "heartbeat"))
    return tmp_path / "heartbeat"


def set_heartbeat(file: Path, seconds: float) -> None:
    """Set the time of the last heartbeat relative to the present clock."""
    file.touch()
    os.utime(file, (time.time() - seconds,) * 2)


@pytest.mark.parametrize(("seconds", "well"), [(-0.5, True), (5, True), (STALE_SECONDS + 1, False)])
def test_service_is_healthy_while_its_heartbeat_is_fresh(heartbeat: Path, seconds: float, well: bool) -> None:
    set_heartbeat(heartbeat, seconds)
    assert main() == (0 if well else 1)


@pytest.mark.parametrize("hours", [1, 365 * 24])
def test_clock_setback_hides_no_dead_service(heartbeat: Path, hours: int) -> None:
    set_heartbeat(heartbeat, -3600 * hours)
    assert heartbeat_age(heartbeat) is None
    assert main() == 1
    heartbeat.touch()
    assert main() == 0


def test_heartbeat_contains_code_and_note(heartbeat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    factory = StatusFactory("site1", "db_writer", ZoneInfo("Asia/Seoul"))
    for note in ("the disk is full", '"' * 900, "가" * 900):
        write_heartbeat(heartbeat, factory.status("online", problems=[Problem("database_full", technical(note))]))
        assert read_heartbeat(heartbeat) == {"code": "database_full", "note": note[:600]}
        assert heartbeat.stat().st_size == HEARTBEAT_BYTES
    write_heartbeat(heartbeat, factory.status("online"))
    assert read_heartbeat(heartbeat) == {"code": "ok", "note": ""}
    assert main() == 0
    assert json.loads(capsys.readouterr().out) == {"seconds": 0, "code": "ok", "note": ""}


@pytest.mark.parametrize("content", ["", "\0\0", "3", "last round trip"])
def test_heartbeat_without_a_status_is_readable(heartbeat: Path, content: str) -> None:
    heartbeat.write_text(content, encoding="ascii")
    assert read_heartbeat(heartbeat) == {}
    assert main() == 0


def test_service_without_heartbeat_is_unhealthy(heartbeat: Path) -> None:
    assert heartbeat_age(heartbeat) is None
    assert main() == 1
