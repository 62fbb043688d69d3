"""No secret is in git, and git ignores the files that WVR creates."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import PurePosixPath

import pytest

from cli.bootstrap import ROOT

KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}")
PASSWORD = re.compile(rb"(?<![\w-])[\w-]{43}(?![\w-])")
"""Passwords as init_site creates them: 256 bits in base64."""
SECRET_NAMES = {".env", "password", "client_id", "passwd", "mosquitto_sub", "mosquitto_rr"}


def git(*arguments: str) -> list[str]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def tracked() -> list[str]:
    files = git("ls-files")
    assert len(files) > 100
    return files


def test_no_secret_file_is_tracked() -> None:
    paths = [PurePosixPath(name) for name in tracked()]
    secret_paths = [
        path
        for path in paths
        if (path.parts[0] == "data" and path.name != "README.md")
        or path.name in SECRET_NAMES
        or path.suffix in (".key", ".pem")
    ]
    assert not secret_paths


def test_no_tracked_file_contains_a_key_or_a_password() -> None:
    for name in tracked():
        text = (ROOT / name).read_bytes()
        assert not KEY.search(text), name
        passwords = [
            word for word in PASSWORD.findall(text) if re.search(rb"[A-Z]", word) and re.search(rb"[0-9]", word)
        ]
        assert not passwords, name


def test_files_that_wvr_creates_are_ignored_by_git() -> None:
    paths = ["data/secrets/viewer/password", "data/secrets/tls/server.key", "data/wvr.db", ".env"]
    assert git("check-ignore", *paths) == paths
