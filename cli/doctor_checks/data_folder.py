"""Permissions of the data folder; free space, free inodes and speed of its disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwuid

from cli.doctor_checks.finding import Finding, note, ok, wrong
from cli.init_site import FOLDERS
from shared.settings import Settings

MIN_FREE_BYTES = 200_000_000
"""Below this, db_writer is about to stop storing."""
MIN_FREE_INODE_SHARE = 0.01
"""Share of the disk's inodes that must be free."""
MAX_FLUSH_SECONDS = 0.25
"""db_writer flushes several times a minute, and more often during a backlog."""
FLUSH_SAMPLES = 5


def check(settings: Settings) -> Iterator[Finding]:
    """Check the data folder. Raises OSError if this user may not read it."""
    if not settings.data.is_dir():
        yield wrong(
            f"the folder {settings.data} does not exist", "start WVR once: ./wvr up; or set WVR_DATA to its path"
        )
        return
    yield from _rights(settings.data)
    yield from _space(settings)
    if os.access(settings.data, os.W_OK):
        yield _speed(settings.data)


def _rights(data: Path) -> Iterator[Finding]:
    if os.statvfs(data).f_flag & os.ST_RDONLY:
        advice = "the disk may be failing: copy data/backup/ to another disk, read `dmesg`, restart the machine"
        yield wrong(f"the disk of {data} is read-only", advice)
        return
    owner = data.stat().st_uid
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    present = [data / name for name in FOLDERS if (data / name).is_dir()]
    files = [data / name for name in ("wvr.db", "wvr.lock") if (data / name).exists()]
    unwritable = [path for path in (data, *present) if not os.access(path, os.W_OK | os.X_OK)]
    foreign = [path for path in (*present, *files, *data.glob("backup/*.db")) if path.stat().st_uid != owner]
    if missing:
        yield wrong(f"folders are missing in {data}: {', '.join(missing)}", "./wvr up creates them")
    if unwritable:
        yield wrong(f"this user may not write {_names(unwritable)}", f"run ./wvr as {_user(owner)}, or with sudo")
    if foreign and owner:
        yield wrong(f"{_names(foreign)} belong to another user than {data}", f"sudo chown -R {owner} {data}")
    if not (missing or unwritable or (foreign and owner)):
        yield ok(f"{data}: folders and permissions are correct")


def _space(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free
    database = settings.database.stat().st_size if settings.database.exists() else 0
    text = f"{free / 1e9:.1f} GB free on the disk of {settings.data}"
    if free < MIN_FREE_BYTES:
        yield wrong(f"only {text}", "delete files that are not needed; WVR waits for space and then continues")
    elif free < 2 * database:
        yield note(f"{text}, wvr.db has {database / 1e9:.1f} GB", "free space: a backup needs as much as wvr.db")
    else:
        yield ok(text)
    disk = os.statvfs(settings.data)
    if disk.f_files and disk.f_favail < MIN_FREE_INODE_SHARE * disk.f_files:
        advice = "delete folders with many small files; WVR waits and then continues"
        yield wrong(f"the disk of {settings.data} can hold only {disk.f_favail} more files (inodes)", advice)


def _speed(data: Path) -> Finding:
    """Measure the median time of small flushed writes to a temporary file."""
    page, durations = bytes(4096), []
    try:
        with tempfile.TemporaryFile(dir=data, prefix=".wvr-doctor-") as file:
            for _ in range(FLUSH_SAMPLES):
                started = time.perf_counter()
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
                durations.append(time.perf_counter() - started)
    except OSError as error:
        return wrong(f"writing to the disk of {data} failed: {error.strerror}", "free space, or read `dmesg`")
    median = sorted(durations)[FLUSH_SAMPLES // 2]
    if median > MAX_FLUSH_SECONDS:
        advice = "check the disk with `sudo smartctl -a`; use an SSD instead of an SD card"
        return note(f"the disk needs {median * 1000:.0f} ms for a small write", advice)
    return ok(f"the disk needs {median * 1000:.1f} ms for a small write")


def _user(uid: int) -> str:
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _names(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:5]) + (" …" if len(paths) > 5 else "")
