"""Installs what a command needs: Python packages in .venv, Debian packages by apt. Standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.json"
"""Lock file name to the SHA-256 of the installed version."""
LOCKS: dict[str, tuple[str, ...]] = {
    "core": (),
    "dashboard": ("core",),
    "notifier": ("core",),
    "plots": ("core",),
    "forecasting": ("core",),
    "tables": ("forecasting",),
    "learning": ("tables",),
    "local": ("learning", "dashboard", "notifier"),
    "dev": ("local", "plots"),
    "bench": ("dev",),
}
"""Lock file to those whose packages it contains."""
SBIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Folders of Debian's daemons, which are not on every user's PATH."""


class CommandError(Exception):
    """A command can't continue; the text says why and what to do."""


def reexec_in_venv(lock: str) -> None:
    """Install requirements/<lock>.txt into .venv and restart this command there."""
    _install(lock)
    if Path(sys.prefix) != VENV:
        sys.stdout.flush()
        python = str(VENV / "bin/python")
        os.execv(python, [python, "-P", "-m", "cli", *sys.argv[1:]])


def ensure_program(name: str, package: str) -> Path:
    """Return the path of a program, after installing its Debian package if needed. Raises CommandError."""
    if path := which(name):
        return path
    apt_install(package, why=f"{name} is missing")
    if package == "mosquitto" and Path("/run/systemd/system").is_dir():
        as_root("systemctl", "disable", "--now", "mosquitto")
    if path := which(name):
        return path
    raise CommandError(f"{name} is still missing after the installation of {package}")


def apt_install(*packages: str, why: str) -> None:
    """Install Debian packages, as root or with sudo. Raises CommandError."""
    names = " ".join(packages)
    if not shutil.which("apt-get") or (os.geteuid() and not shutil.which("sudo")):
        raise CommandError(f"{why}, and apt-get is missing or not permitted; install these packages: {names}")
    print(f"{why}: installing {names}", file=sys.stderr, flush=True)
    quiet = ("-qq", "-o", "Dpkg::Use-Pty=0")
    try:
        as_root("apt-get", *quiet, "update")
        as_root("apt-get", *quiet, "install", "-y", "--no-install-recommends", *packages)
    except subprocess.CalledProcessError as error:
        raise CommandError(f"{why}, and apt-get failed to install {names}:\n{error.stdout}") from error


def as_root(*command: str) -> None:
    """Run a command as root, with sudo if needed. Raises CalledProcessError, FileNotFoundError without sudo."""
    sudo = ["sudo"] if os.geteuid() else []
    full = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *command]
    subprocess.run(full, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def which(name: str) -> Path | None:
    """Return the path of an installed program, or None."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SBIN_FOLDERS)))
    return Path(path) if path else None


def is_installed(lock: str) -> bool:
    """Return whether .venv contains the packages of requirements/<lock>.txt."""
    installed = _installed()
    return any(installed.get(name) == _checksum(name) for name in LOCKS if _contains(name, lock))


def _installed() -> dict[str, str]:
    return json.loads(STAMP.read_text(encoding="ascii")) if STAMP.exists() else {}


def _contains(lock: str, other: str) -> bool:
    """Return whether a lock file contains the packages of another one."""
    return lock == other or any(_contains(part, other) for part in LOCKS[lock])


def _install(lock: str) -> None:
    with _installation_lock():
        if is_installed(lock):
            return
        if not (VENV / "bin/pip").exists():
            _make_venv()
        print(f"installing the Python packages of requirements/{lock}.txt into .venv", file=sys.stderr, flush=True)
        _pip("install", "--quiet", "--require-hashes", "-r", str(ROOT / f"requirements/{lock}.txt"))
        STAMP.write_text(json.dumps(_installed() | {lock: _checksum(lock)}), encoding="ascii")


def _make_venv() -> None:
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        apt_install("python3-venv", why="Python's venv is missing")
        subprocess.run(command, check=True)


def _pip(*arguments: str) -> None:
    command: Sequence[str] = (str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", *arguments)
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise CommandError("pip failed to install the packages; see its output above")


def _checksum(lock: str) -> str:
    return hashlib.sha256((ROOT / f"requirements/{lock}.txt").read_bytes()).hexdigest()


@contextmanager
def _installation_lock() -> Iterator[None]:
    """Hold the lock that allows one installation at a time."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
