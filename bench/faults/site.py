"""A local site for faults: on a small disk of its own and under a settable clock, where the machine allows it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.bootstrap import VENV, CommandError, apt_install
from cli.local_config import supervisor_conf
from tests.conftest import free_port
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

SITE = """[site]
name = "campaign"
[sensors.001]
[sensors.002]
[source.campaign]
kind = "file"
files = "*.csv"
[training]
automatic = false
"""
DISK_MB = 600


@dataclass(frozen=True)
class FaultableSite:
    """A running site, and the faults that it allows besides killed processes."""

    site: RunningSite
    clock: Path | None
    """File with the seconds that are added to every clock of the site; None if its clock cannot be set."""
    small_disk: bool

    def set_clock(self, seconds: int) -> None:
        if self.clock:
            self.clock.write_text(f"{seconds:+d}", encoding="ascii")


@contextmanager
def faultable_site(folder: Path) -> Iterator[FaultableSite]:
    """Start a site; stop it at the end."""
    home = folder / "site"
    home.mkdir(parents=True)
    with _small_disk(home) as small:
        site = RunningSite.create(home, free_port(), SITE)
        started = site.wvr("up", "--local")
        if started.returncode:
            raise RuntimeError(started.stdout + started.stderr)
        faultable = FaultableSite(site, _own_clock(site, folder), small)
        try:
            yield faultable
        finally:
            faultable.set_clock(0)
            site.wvr("down")


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    mounted = mount is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def _own_clock(site: RunningSite, folder: Path) -> Path | None:
    """Restart broker and services under libfaketime with a clock that follows a file; return the file."""
    library = _faketime()
    if library is None:
        return None
    clock = folder / "clock"
    clock.write_text("+0", encoding="ascii")
    # Under libfaketime, clock_nanosleep fails with a monotonic clock that is not faked; select does not.
    (folder / "sitecustomize.py").write_text(
        "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds)\n", encoding="ascii"
    )
    clock_variables = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": clock,
        "FAKETIME_CACHE_DURATION": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        "NO_FAKE_STAT": 1,
        "PYTHONPATH": folder,
    }
    variables = ",".join(f'{name}="{value}"' for name, value in clock_variables.items())
    conf = supervisor_conf(site.data)
    text = conf.read_text(encoding="utf-8").replace("\nenvironment=", f"\nenvironment={variables},")
    conf.write_text(text.replace("[program:broker]", f"[program:broker]\nenvironment={variables}"), encoding="utf-8")
    for words in (("update",), ("start", "ingest")):
        done = site.run(str(VENV / "bin/supervisorctl"), "-c", str(conf), *words)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
    wait_for(lambda: site.wvr("status").returncode == 0, 60, "all services under a clock of their own")
    return clock


def _faketime() -> Path | None:
    pattern = "*/faketime/libfaketimeMT.so.1"
    if not list(Path("/usr/lib").glob(pattern)) and os.geteuid() == 0:
        try:
            apt_install("libfaketime", why="the campaign sets clocks")
        except CommandError as missing:
            print(missing)
    return next(Path("/usr/lib").glob(pattern), None)
