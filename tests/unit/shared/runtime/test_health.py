"""Health of a service through clock jumps."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shared.runtime.health import STALE_SECONDS, heartbeat_age, main


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


def test_service_without_heartbeat_is_unhealthy(heartbeat: Path) -> None:
    assert heartbeat_age(heartbeat) is None
    assert main() == 1
