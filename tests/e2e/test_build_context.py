"""What goes into an image is code and lock files: .dockerignore, asked of the engine itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cli.packages import ROOT
from tests.e2e.conftest import require_docker

SECRET = (
    "data/secrets/viewer/password",
    ".env",
    "shared/.env",
    "cli/server.key",
    ".git/config",
    ".venv/x.py",
    "wvr.db",
)
CODE = ("cli/up.py", "shared/store/migrations/0001_tables.py", "services/ingest/main.py", "requirements/core.txt")


@pytest.mark.docker
def test_a_build_sees_code_and_lock_files_only(tmp_path: Path) -> None:
    require_docker()
    context, seen = tmp_path / "context", tmp_path / "seen"
    for name in (*SECRET, *CODE):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name, encoding="ascii")
    shutil.copy(ROOT / ".dockerignore", context)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="ascii")
    command = ["docker", "buildx", "build", "--quiet", "--output", f"type=local,dest={seen}", str(context)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert {str(path.relative_to(seen)) for path in seen.rglob("*") if path.is_file()} == set(CODE)
