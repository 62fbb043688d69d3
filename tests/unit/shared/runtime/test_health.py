"""Alive or not, on a clock that leaps."""

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


def beaten(file: Path, seconds: float) -> None:
    """The last beat was so long ago by the present clock."""
    file.touch()
    os.utime(file, (time.time() - seconds,) * 2)


@pytest.mark.parametrize(("seconds", "well"), [(-0.5, True), (5, True), (STALE_SECONDS + 1, False)])
def test_a_service_is_well_while_its_beat_is_fresh(heartbeat: Path, seconds: float, well: bool) -> None:
    beaten(heartbeat, seconds)
    assert main() == (0 if well else 1)


@pytest.mark.parametrize("hours", [1, 365 * 24])
def test_a_clock_that_was_set_back_hides_no_dead_service(heartbeat: Path, hours: int) -> None:
    beaten(heartbeat, -3600 * hours)
    assert heartbeat_age(heartbeat) is None
    assert main() == 1
    heartbeat.touch()
    assert main() == 0


def test_without_any_beat_it_is_not_well(heartbeat: Path) -> None:
    assert heartbeat_age(heartbeat) is None
    assert main() == 1
