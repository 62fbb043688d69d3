"""Health of a service: a heartbeat file, written only after a round trip through the broker, with the status."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from shared.contract.messages import Status
from shared.contract.status_codes import Problem, summary
from shared.version import VERSION

STALE_SECONDS = 45.0
"""Seconds without a round trip after which a service is unhealthy."""

CLOCK_SLACK_SECONDS = 1.0
"""Seconds by which a file's time may be ahead of the clock, since the two do not tick together."""


HEARTBEAT_BYTES = 4096
"""Size of a heartbeat file: one block of the disk, written in place, so that a full disk does not prevent it."""

MAX_HEARTBEAT_NOTE = 600
"""Characters of the note in a heartbeat file: with six bytes each they fit in the file."""


def heartbeat_file() -> Path:
    """Return the heartbeat file of this process."""
    return Path(os.environ.get("WVR_HEARTBEAT", "/tmp/heartbeat"))


def heartbeat_age(file: Path) -> float | None:
    """Return the seconds since the last round trip; None if there was none since the last clock setback.

    A clock jump makes a healthy service look unhealthy for one heartbeat, and never the reverse.
    """
    try:
        seconds = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return None
    return max(0.0, seconds) if seconds > -CLOCK_SLACK_SECONDS else None


def write_heartbeat(file: Path, status: Status) -> None:
    """Write code and English note of a status that came back through the broker, padded to HEARTBEAT_BYTES.

    A file that is new on a full disk stays empty.
    """
    content = json.dumps({"code": status.code, "note": status.note.en[:MAX_HEARTBEAT_NOTE]})
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.utime(handle)
        with suppress(OSError):
            os.pwrite(handle, content.encode("ascii").ljust(HEARTBEAT_BYTES), 0)
    finally:
        os.close(handle)


def read_heartbeat(file: Path) -> dict[str, str]:
    """Return `code` and `note` of the last heartbeat; empty if the file contains none."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: str(content[key]) for key in ("code", "note")} if isinstance(content, dict) else {}


class StatusFactory:
    """Makes the Status messages of one service run."""

    def __init__(self, site: str, name: str, zone: ZoneInfo) -> None:
        self.site, self.name, self.zone = site, name, zone
        self.since = self._now()

    def status(
        self, state: Literal["online", "stopping", "offline"], lag: int = 0, problems: Sequence[Problem] = ()
    ) -> Status:
        """Return the present status."""
        code, note = summary(problems)
        return Status(
            site=self.site,
            name=self.name,
            state=state,
            version=VERSION,
            since=self.since,
            at=self._now(),
            memory_mb=resident_megabytes(),
            lag=lag,
            code=code,
            note=note,
        )

    def _now(self) -> datetime:
        return datetime.now(self.zone).replace(microsecond=0)


def resident_megabytes(process: Path = Path("/proc/self")) -> float:
    """Return the resident memory of a process in MB."""
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def main() -> int:
    """Return exit code 0 while the heartbeat is fresh: the health check of the containers.

    Print the heartbeat's content as JSON: `./wvr status` reads it from the engine's log of health checks.
    """
    seconds = heartbeat_age(heartbeat_file())
    print(json.dumps({"seconds": None if seconds is None else round(seconds), **read_heartbeat(heartbeat_file())}))
    return 0 if seconds is not None and seconds < STALE_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
