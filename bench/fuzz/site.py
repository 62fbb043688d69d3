"""Fuzz of site.toml: valid settings, or a SettingsError that names file, line and key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.fuzz.targets import FuzzInput
from cli.bootstrap import ROOT
from shared.settings import SettingsError, load_settings


def open_target(_: str, folder: Path) -> FuzzInput:
    file = folder / "site.toml"

    def run_input(data: bytes) -> None:
        file.write_bytes(data)
        error_text = ""
        try:
            assert load_settings(file).zone.key
        except SettingsError as error:
            error_text = str(error)
        assert not error_text or error_text.startswith(f"{file}:")
        assert len(error_text) < 100_000

    return run_input


def seeds(_: str) -> Iterator[bytes]:
    site_toml = (ROOT / "site.toml").read_bytes()
    yield site_toml
    yield site_toml.replace(b"# [sensors", b"[sensors").replace(b"# flow", b"flow").replace(b"# press", b"press")
    yield b"sensors = 7\n[ingest]\nfiles = '*'\nsource = 'file'"
