"""The npm packages of the dashboard: fetched once for each lock file, without scripts, with checksums."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import assets
from cli.bootstrap import CommandError

Folders = list[Path]


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Assets in a temporary folder; the list of the folders in which npm seems to have installed packages."""
    folders: Folders = []

    def install(folder: Path, development: bool) -> Path:
        assert not development
        for name in assets.FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name, encoding="ascii")
        folders.append(folder)
        return folder

    monkeypatch.setattr(assets, "_install", install)
    monkeypatch.setattr(assets, "ASSETS", tmp_path / "assets")
    monkeypatch.setattr(assets, "STAMP", tmp_path / "assets/package-lock.sha256")
    return folders


def test_assets_are_fetched_once(installs: Folders, tmp_path: Path) -> None:
    assets.ensure()
    assets.ensure()
    assert len(installs) == 1
    names = {Path(name).name for name in assets.FILES}
    assert {file.name for file in (tmp_path / "assets").iterdir()} == {*names, "package-lock.sha256"}


def test_another_lock_file_fetches_them_again(
    installs: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets.ensure()
    other = tmp_path / "package-lock.json"
    other.write_text("{}", encoding="ascii")
    monkeypatch.setattr(assets, "LOCK", other)
    assert not assets.are_present()
    assets.ensure()
    assert len(installs) == 2


def test_failed_npm_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho no network\nexit 1\n", encoding="ascii")
    program.chmod(0o755)
    (tmp_path / "node").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(CommandError, match="no network"):
        assets.fetch_axe(tmp_path)


def test_lock_file_has_a_checksum_for_each_package_and_names_no_host() -> None:
    text = assets.LOCK.read_text(encoding="utf-8")
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "resolved" not in text
    assert "http" not in text
