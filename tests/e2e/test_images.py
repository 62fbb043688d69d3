"""What an image contains: code, and the packages that its lock file pins."""

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
SECRET_FILES = ("data/secrets/viewer/password", ".env", "shared/.env", "cli/server.key", ".git/config", ".venv/site.py")
CODE_FILES = ("cli/up.py", "shared/store/migrations/0001_tables.py", "services/ingest/main.py", "requirements/core.txt")


def docker(*arguments: str) -> str:
    """Return what docker prints; fail if it fails."""
    done = subprocess.run(("docker", *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_image(image: str, *command: str) -> str:
    """Return what a command prints in a new container."""
    return docker("run", "--rm", "--network=none", f"wvr-{image}", *command)


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    """The images, built from this clone; quick if only code has changed."""
    require_docker()
    docker("compose", "build")


def test_build_context_contains_only_code_and_lock_files(tmp_path: Path) -> None:
    context, output = tmp_path / "context", tmp_path / "output"
    for name in (*SECRET_FILES, *CODE_FILES):
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name, encoding="ascii")
    shutil.copy(ROOT / ".dockerignore", context)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="ascii")
    docker("buildx", "build", "--quiet", "--output", f"type=local,dest={output}", str(context))
    assert {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()} == set(CODE_FILES)


@pytest.mark.parametrize("image", IMAGES)
def test_image_contains_only_code(image: str) -> None:
    script = (
        "find /app -type f -not -name '*.py*'; find /app -mindepth 1 -maxdepth 1; find /data /run/wvr 2>/dev/null; :"
    )
    paths = in_image(image, "sh", "-c", script).split()
    pages = [path for path in paths if path.startswith("/app/services/dashboard/")]
    assert sorted({*paths} - {*pages}) == ["/app/cli", "/app/services", "/app/shared"]
    folders = {path.split("/")[4] for path in pages}
    assert folders - {"package.json", "package-lock.json", ".npmrc", "assets"} == {"static", "templates", "texts"}
    assert ("assets" in folders) == (image == "dashboard")


@pytest.mark.parametrize("image", IMAGES)
def test_image_runs_without_root_and_contains_no_secret(image: str) -> None:
    config = json.loads(docker("inspect", f"wvr-{image}"))[0]["Config"]
    assert config["User"] == "1000:1000"
    assert not [line for line in config["Env"] if line.startswith("WVR") or "PASS" in line or "SECRET" in line]


@pytest.mark.parametrize("image", IMAGES)
def test_sbom_lists_the_packages_of_the_image(image: str) -> None:
    listed = in_image(image, *["python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"])
    installed = {(canonicalize_name(package["name"]), package["version"]) for package in json.loads(listed)}
    components = json.loads(bill_of_materials(image))["components"]
    pinned = {(canonicalize_name(package["name"]), package["version"]) for package in components}
    assert pinned <= installed
    assert {name for name, _ in installed - pinned} <= {"pip", "setuptools", "wheel"}, "packages of the base image"
