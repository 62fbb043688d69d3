"""site.toml: settings that can be used, or a SettingsError that names file, line and key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.fuzz.targets import FuzzInput
from cli.bootstrap import ROOT
from shared.settings import SettingsError, load_settings


def open_target(_: str, folder: Path) -> FuzzInput:
    file = folder / "site.toml"

    def take(data: bytes) -> None:
        file.write_bytes(data)
        error_text = ""
        try:
            assert load_settings(file).zone.key
        except SettingsError as error:
            error_text = str(error)
        assert not error_text or error_text.startswith(f"{file}:")
        assert len(error_text) < 100_000

    return take


def seeds(_: str) -> Iterator[bytes]:
    whole = (ROOT / "site.toml").read_bytes()
    yield whole
    yield whole.replace(b"# [sensors", b"[sensors").replace(b"# flow", b"flow").replace(b"# press", b"press")
    yield b"sensors = 7\n[ingest]\nfiles = '*'\nsource = 'file'"
