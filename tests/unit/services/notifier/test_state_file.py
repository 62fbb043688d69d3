"""The notifier's state survives restarts; a damaged file is replaced."""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from services.notifier import state_file
from services.notifier.incident import from_anomaly
from services.notifier.state_file import StateFile
from shared.contract.service import Unavailable
from tests.unit.services.notifier.notifier_site import MONDAY, NotifierSite, anomaly, works


def test_state_is_the_same_after_a_restart(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    site.receive(
        anomaly("a"), anomaly("b", severity="warning", sensor="수압"), works(MONDAY, MONDAY + timedelta(hours=1))
    )
    site.pass_time(timedelta(minutes=2))
    store = StateFile(tmp_path / "state.json")
    state = store.restore()
    assert set(state.incidents) == {"a", "b"}
    store.save(state)
    before = (tmp_path / "state.json").stat().st_mtime_ns
    store.save(state)
    assert (tmp_path / "state.json").stat().st_mtime_ns == before, "an unchanged state is written again"


@pytest.mark.parametrize("content", [b"", b"{", b'{"run": 1}', b"\xff\xfe", b"[]", b"null"])
def test_damaged_state_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    store = StateFile(tmp_path / "state.json")
    state = store.restore()
    assert state.incidents == {}
    state.incidents["a"] = from_anomaly(anomaly("a"), MONDAY, None)
    store.save(state)
    assert StateFile(tmp_path / "state.json").restore().incidents == state.incidents


def test_pipe_in_place_of_the_state_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "state.json")
    assert StateFile(tmp_path / "state.json").restore().incidents == {}


def test_full_disk_is_unavailable_and_the_next_call_writes(tmp_path: Path) -> None:
    store = StateFile(tmp_path / "state.json")
    state = store.restore()
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch.object(state_file, "write_atomic", side_effect=full), pytest.raises(Unavailable, match="No space"):
        store.save(state)
    store.save(state)
    assert (tmp_path / "state.json").exists()


def test_no_key_comes_twice_even_if_the_state_is_lost(tmp_path: Path) -> None:
    site = NotifierSite(tmp_path)
    keys = []
    for number in range(3):
        site.receive(anomaly(f"a{number}"))
        site.pass_time(timedelta(minutes=1))
        keys += [message.key for message in site.take()]
        (tmp_path / "state.json").unlink()
        site.restart()
    assert len(set(keys)) == 3
