"""Gets what a command needs: Python packages into .venv, Debian packages through apt. Standard library only."""

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
"""Lock file to the SHA-256 it had when it was installed."""
LOCKS = ("core", "forecasting", "learning", "local", "dev", "bench")
"""Each holds the packages of those before it."""
SBIN_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps daemons; not on every user's PATH."""


class CommandError(Exception):
    """Something that WVR needs and may not install; the text says what to do."""


def reexec_in_venv(lock: str) -> None:
    """Goes on as a process of .venv with the packages of requirements/<lock>.txt."""
    _install(lock)
    if Path(sys.prefix) != VENV:
        sys.stdout.flush()
        python = str(VENV / "bin/python")
        os.execv(python, [python, "-P", "-m", "cli", *sys.argv[1:]])


def ensure_program(name: str, package: str) -> Path:
    """Path of a program; installs its Debian package if it may. Raises Missing."""
    if found := which(name):
        return found
    apt_install(package, why=f"{name} is missing")
    if package == "mosquitto" and Path("/run/systemd/system").is_dir():
        as_root("systemctl", "disable", "--now", "mosquitto")
    if found := which(name):
        return found
    raise CommandError(f"{name} is not there even after the installation of {package}")


def apt_install(*packages: str, why: str) -> None:
    """Installs Debian packages, as root or through sudo. Raises Missing."""
    names = " ".join(packages)
    if not shutil.which("apt-get") or (os.geteuid() and not shutil.which("sudo")):
        raise CommandError(f"{why}, and there is no apt-get or no right to use it; install: {names}")
    print(f"{why}: installing {names}", file=sys.stderr, flush=True)
    quiet = ("-qq", "-o", "Dpkg::Use-Pty=0")
    try:
        as_root("apt-get", *quiet, "update")
        as_root("apt-get", *quiet, "install", "-y", "--no-install-recommends", *packages)
    except subprocess.CalledProcessError as error:
        raise CommandError(f"{why}, and apt-get could not install {names}:\n{error.stdout}") from error


def as_root(*command: str) -> None:
    """Runs a command as root, through sudo where needed. Raises CalledProcessError, FileNotFoundError without sudo."""
    sudo = ["sudo"] if os.geteuid() else []
    full = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", *command]
    subprocess.run(full, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def which(name: str) -> Path | None:
    """Path of a program that is installed."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SBIN_FOLDERS)))
    return Path(found) if found else None


def _install(lock: str) -> None:
    with _installation_lock():
        have = json.loads(STAMP.read_text(encoding="ascii")) if STAMP.exists() else {}
        if any(have.get(one) == _checksum(one) for one in LOCKS[LOCKS.index(lock) :]):
            return
        if not (VENV / "bin/pip").exists():
            _make_venv()
        print(f"installing the Python packages of requirements/{lock}.txt into .venv", file=sys.stderr, flush=True)
        _pip("install", "--quiet", "--require-hashes", "-r", str(ROOT / f"requirements/{lock}.txt"))
        STAMP.write_text(json.dumps({lock: _checksum(lock)}), encoding="ascii")


def _make_venv() -> None:
    make = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(make, capture_output=True, check=False).returncode:
        apt_install("python3-venv", why="Python's venv is missing")
        subprocess.run(make, check=True)


def _pip(*arguments: str) -> None:
    command: Sequence[str] = (str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", *arguments)
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise CommandError("pip could not install the packages; what it said is above")


def _checksum(lock: str) -> str:
    return hashlib.sha256((ROOT / f"requirements/{lock}.txt").read_bytes()).hexdigest()


@contextmanager
def _installation_lock() -> Iterator[None]:
    """One installation at a time."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
