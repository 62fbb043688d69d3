"""What is in an image: code, and what its lock file pins; asked of the engine and the images themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from cli.audit import IMAGES, bill_of_materials
from cli.bootstrap import ROOT
from tests.e2e.conftest import require_docker

pytestmark = pytest.mark.docker
SECRET = ("data/secrets/viewer/password", ".env", "shared/.env", "cli/server.key", ".git/config", ".venv/site.py")
CODE = ("cli/up.py", "shared/store/migrations/0001_tables.py", "services/ingest/main.py", "requirements/core.txt")


def docker(*arguments: str) -> str:
    """What docker prints; fails when it does."""
    done = subprocess.run(("docker", *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_image(image: str, *command: str) -> str:
    """What a command prints in a fresh container."""
    return docker("run", "--rm", "--network=none", f"wvr-{image}", *command)


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """Built from this clone; that is quick where only code has changed."""
    require_docker()
    docker("compose", "build")


def test_a_build_sees_code_and_lock_files_only(tmp_path: Path) -> None:
    context, seen = tmp_path / "context", tmp_path / "seen"
    for name in (*SECRET, *CODE):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name, encoding="ascii")
    shutil.copy(ROOT / ".dockerignore", context)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="ascii")
    docker("buildx", "build", "--quiet", "--output", f"type=local,dest={seen}", str(context))
    assert {str(path.relative_to(seen)) for path in seen.rglob("*") if path.is_file()} == set(CODE)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_code_and_no_more(image: str) -> None:
    look = "find /app -type f -not -name '*.py*'; find /app -mindepth 1 -maxdepth 1; find /data /run/wvr 2>/dev/null; :"
    assert sorted(in_image(image, "sh", "-c", look).split()) == ["/app/cli", "/app/services", "/app/shared"]


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_without_root_and_holds_no_secret(image: str) -> None:
    config = json.loads(docker("inspect", f"wvr-{image}"))[0]["Config"]
    assert config["User"] == "1000:1000"
    assert not [line for line in config["Env"] if line.startswith("WVR") or "PASS" in line or "SECRET" in line]


@pytest.mark.parametrize("image", IMAGES)
def test_the_sbom_lists_what_pip_finds_in_an_image(image: str) -> None:
    listed = in_image(image, *["python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"])
    found = {(canonicalize_name(one["name"]), one["version"]) for one in json.loads(listed)}
    components = json.loads(bill_of_materials(image))["components"]
    ours = {(canonicalize_name(one["name"]), one["version"]) for one in components}
    assert ours <= found
    assert {name for name, _ in found - ours} <= {"pip", "setuptools", "wheel"}, "what the base image brings"
