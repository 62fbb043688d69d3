"""./wvr finds its commands, and starts WVR in Docker without Python packages."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cli import __main__ as wvr
from cli.bootstrap import ROOT

WITHOUT_PACKAGES = [entry.module for entry in wvr.COMMANDS.values() if not entry.packages]


@pytest.mark.parametrize("name", wvr.COMMANDS)
def test_every_command_has_a_main_function(name: str) -> None:
    assert callable(import_module(wvr.COMMANDS[name].module).main)


def test_commands_that_need_no_packages_import_none() -> None:
    command = [sys.executable, "-S", "-P", "-c", f"import {', '.join(WITHOUT_PACKAGES)}"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_unknown_command_lists_all_commands() -> None:
    done = subprocess.run([ROOT / "wvr", "sail"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert all(f"./wvr {name}" in done.stdout for name in wvr.COMMANDS)


def test_closed_pipe_gives_no_traceback() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([ROOT / "wvr", "help"], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, "")


def test_env_file_is_read_as_compose_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text('WVR_DATA=./store\nWVR_BIND="0.0.0.0"\nWVR_BROKER__PORT=1884\n', encoding="ascii")
    monkeypatch.setattr(wvr, "ROOT", tmp_path)
    monkeypatch.setattr(os, "environ", {"WVR_BROKER__PORT": "1885"})
    wvr.load_env_file()
    assert os.environ == {
        "WVR_DATA": str(tmp_path / "store"),
        "WVR_SITE_FILE": str(tmp_path / "site.toml"),
        "WVR_BIND": "0.0.0.0",
        "WVR_BROKER__PORT": "1885",
    }
