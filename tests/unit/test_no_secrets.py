"""Nothing secret is in git, and what WVR makes can't get there by accident."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import PurePosixPath

import pytest

from cli.bootstrap import ROOT

KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}")
PASSWORD = re.compile(rb"(?<![\w-])[\w-]{43}(?![\w-])")
"""As set_up_site makes them: 256 bits in base64."""
NAMES = {".env", "password", "passwd", "mosquitto_sub", "mosquitto_rr"}


def git(*arguments: str) -> list[str]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def tracked() -> list[str]:
    files = git("ls-files")
    assert len(files) > 100
    return files


def test_no_tracked_file_is_a_place_of_secrets() -> None:
    paths = [PurePosixPath(name) for name in tracked()]
    found = [path for path in paths if path.parts[0] == "data" or path.name in NAMES or path.suffix in (".key", ".pem")]
    assert not found


def test_no_tracked_file_holds_a_key_or_a_password() -> None:
    for name in tracked():
        text = (ROOT / name).read_bytes()
        assert not KEY.search(text), name
        mixed = [word for word in PASSWORD.findall(text) if re.search(rb"[A-Z]", word) and re.search(rb"[0-9]", word)]
        assert not mixed, name


def test_what_wvr_makes_is_ignored_by_git() -> None:
    made = ["data/secrets/viewer/password", "data/secrets/tls/server.key", "data/wvr.db", ".env"]
    assert git("check-ignore", *made) == made
