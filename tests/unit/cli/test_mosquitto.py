"""What WVR requires of Mosquitto and its access list, and the time zone of its log."""

from __future__ import annotations

import subprocess
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli.bootstrap import CommandError, ensure_program
from cli.mosquitto import ACCESS_LIST, TESTED_VERSIONS, posix_zone, require_supported, require_valid_access_list


@pytest.mark.parametrize("text", [*(f"mosquitto version {version}" for version in TESTED_VERSIONS), "", "no version"])
def test_tested_versions_are_supported(text: str) -> None:
    require_supported(text)


def test_old_version_is_an_error_that_names_the_tested_ones() -> None:
    with pytest.raises(CommandError, match=r"1\.6\.9 is too old: WVR needs Mosquitto 2\.0 .*2\.0\.11 and 2\.1\.2"):
        require_supported("mosquitto version 1.6.9\n\nusage")


def test_version_of_local_processes_is_a_tested_one() -> None:
    program = ensure_program("mosquitto", "mosquitto")
    text = subprocess.run([program, "-h"], check=False, capture_output=True, text=True).stdout
    require_supported(text)
    assert text.split()[2] in TESTED_VERSIONS


@pytest.mark.parametrize("line", ["topc read x", "user", "topic", "read wvr/#", "  user x"])
def test_invalid_access_list_is_an_error_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "acl"
    file.write_text(f"# rules\n\nuser a\ntopic read wvr/#\ntopic wvr/x\n{line}\n", encoding="utf-8")
    with pytest.raises(CommandError, match=f"acl, line 6: '{line}' is no rule"):
        require_valid_access_list(file)


def test_shipped_access_list_is_valid() -> None:
    require_valid_access_list(ACCESS_LIST)


@pytest.mark.parametrize("name", ["Asia/Seoul", "Europe/Berlin", "Asia/Kathmandu", "UTC"])
def test_posix_zone_gives_the_local_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", posix_zone(name))
    time.tzset()
    try:
        for month in (1, 7):
            at = datetime(2026, month, 1, tzinfo=ZoneInfo(name))
            assert time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at.timestamp())) == f"{at:%Y-%m-%dT%H:%M:%S%z}"
    finally:
        monkeypatch.undo()
        time.tzset()
