"""Rights in the data folder; space, names and speed of its disk."""

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
"""Bytes below which a site is about to stand still."""
MIN_FREE_INODE_SHARE = 0.01
"""Part of the disk's files and folders that may still be made."""
MAX_FLUSH_SECONDS = 0.25
"""Seconds; db_writer flushes several times a minute, and the last minute of a backlog many times."""
FLUSH_SAMPLES = 5


def check(settings: Settings) -> Iterator[Finding]:
    """Looks at the data folder. Raises OSError where this user may not look."""
    if not settings.data.is_dir():
        yield wrong(f"there is no folder {settings.data}", "start WVR once: ./wvr up; or set WVR_DATA to where it is")
        return
    yield from _rights(settings.data)
    yield from _space(settings)
    if os.access(settings.data, os.W_OK):
        yield _speed(settings.data)


def _rights(data: Path) -> Iterator[Finding]:
    if os.statvfs(data).f_flag & os.ST_RDONLY:
        advice = "a failing disk does that: save data/backup/ elsewhere, look at `dmesg`, restart the machine"
        yield wrong(f"the disk of {data} is read-only", advice)
        return
    owner = data.stat().st_uid
    missing = [name for name in FOLDERS if not (data / name).is_dir()]
    known = [data / name for name in FOLDERS if (data / name).is_dir()]
    files = [data / name for name in ("wvr.db", "wvr.lock") if (data / name).exists()]
    closed = [path for path in (data, *known) if not os.access(path, os.W_OK | os.X_OK)]
    foreign = [path for path in (*known, *files, *data.glob("backup/*.db")) if path.stat().st_uid != owner]
    if missing:
        yield wrong(f"folders are missing in {data}: {', '.join(missing)}", "./wvr up makes them")
    if closed:
        yield wrong(f"this user may not write {_names(closed)}", f"run ./wvr as {_user(owner)}, or with sudo")
    if foreign and owner:
        yield wrong(f"{_names(foreign)} belong to another user than {data}", f"sudo chown -R {owner} {data}")
    if not (missing or closed or (foreign and owner)):
        yield ok(f"{data}: folders and rights are right")


def _space(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free
    database = settings.database.stat().st_size if settings.database.exists() else 0
    said = f"{free / 1e9:.1f} GB free on the disk of {settings.data}"
    if free < MIN_FREE_BYTES:
        yield wrong(f"only {said}", "delete what is not needed there; WVR waits for space and goes on by itself")
    elif free < 2 * database:
        yield note(f"{said}, wvr.db has {database / 1e9:.1f} GB", "make room: a backup needs as much as wvr.db")
    else:
        yield ok(said)
    disk = os.statvfs(settings.data)
    if disk.f_files and disk.f_favail < MIN_FREE_INODE_SHARE * disk.f_files:
        advice = "delete folders with very many small files; WVR waits and goes on by itself"
        yield wrong(f"the disk of {settings.data} can hold only {disk.f_favail} more files (inodes)", advice)


def _speed(data: Path) -> Finding:
    """Median of a few small flushed writes; touches nothing of the site."""
    page, took = bytes(4096), []
    try:
        with tempfile.TemporaryFile(dir=data, prefix=".wvr-doctor-") as file:
            for _ in range(FLUSH_SAMPLES):
                began = time.perf_counter()
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError as error:
        return wrong(f"nothing can be written to the disk of {data}: {error.strerror}", "make room, or look at `dmesg`")
    median = sorted(took)[FLUSH_SAMPLES // 2]
    if median > MAX_FLUSH_SECONDS:
        advice = "an SD card or a dying disk? `sudo smartctl -a` says; an SSD is worth it"
        return note(f"the disk takes {median * 1000:.0f} ms to keep a small write", advice)
    return ok(f"the disk keeps a small write within {median * 1000:.1f} ms")


def _user(uid: int) -> str:
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _names(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:5]) + (" …" if len(paths) > 5 else "")
