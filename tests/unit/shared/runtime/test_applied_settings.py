"""A running service notices that another start has applied other settings."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from shared.runtime.applied_settings import applied_file, changed_parts, describe, read_applied, watch_applied


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with site.toml and access list beside it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "site.toml").write_text("[site]\n", encoding="ascii")
    (tmp_path / "acl").write_text("user viewer\n", encoding="ascii")
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    apply_settings(tmp_path)
    return tmp_path


def apply_settings(data: Path) -> None:
    text = describe(data / "site.toml", data / "acl", "0.2.0")
    applied_file(data).write_text(text, encoding="ascii")


def test_changed_parts_are_named(data: Path) -> None:
    before = read_applied(data)
    assert changed_parts(before, describe(data / "site.toml", data / "acl", "0.2.0")) == []
    assert changed_parts(before, describe(data / "missing.toml", data / "acl", "0.3.0")) == ["site.toml", "version"]
    (data / "acl").write_text("", encoding="ascii")
    assert changed_parts(before, describe(data / "site.toml", data / "acl", "0.2.0")) == ["acl"]
    assert changed_parts("", before) == ["site.toml", "acl", "version"]
    assert changed_parts(before, "") == []


def test_service_is_told_once_what_another_start_has_applied(data: Path) -> None:
    parts: list[list[str]] = []
    ended = threading.Event()

    def on_change(changed: list[str]) -> None:
        parts.append(changed)
        ended.set()

    watch_applied(on_change, 0.02, 0.02)
    (data / "site.toml").write_text("[site]\nname = 'a'\n", encoding="ascii")
    assert not ended.wait(0.2), "an edited file is not applied yet"
    applied_file(data).unlink()
    apply_settings(data)
    assert ended.wait(20)
    apply_settings(data)
    assert parts == [["site.toml"]]
