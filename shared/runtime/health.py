"""Whether a service is alive: a file touched only after a round trip through the broker."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from shared.contract.messages import Status
from shared.version import VERSION

STALE_SECONDS = 45.0
"""Seconds without a round trip after which a service is unhealthy."""

CLOCK_SLACK_SECONDS = 1.0
"""Seconds that a file may seem to be of the future: its time and the clock don't tick together."""


def heartbeat_file() -> Path:
    """The file that shows the last round trip of this process's service."""
    return Path(os.environ.get("WVR_HEARTBEAT", "/tmp/heartbeat"))


def heartbeat_age(file: Path) -> float | None:
    """Seconds since the last round trip; None when there was none since the clock was set back.

    So a leap of the clock, either way, makes a living service look ill for one beat, and never a dead one well.
    """
    try:
        seconds = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return None
    return max(0.0, seconds) if seconds > -CLOCK_SLACK_SECONDS else None


class StatusFactory:
    """Makes the Status messages of one service run."""

    def __init__(self, site: str, name: str, zone: ZoneInfo) -> None:
        self.site, self.name, self.zone = site, name, zone
        self.since = self._now()

    def status(self, state: Literal["online", "stopping", "offline"], lag: int = 0, note: str = "") -> Status:
        """How the service is now."""
        return Status(
            self.site, self.name, state, VERSION, self.since, self._now(), resident_megabytes(), lag, note[:1000]
        )

    def _now(self) -> datetime:
        return datetime.now(self.zone).replace(microsecond=0)


def resident_megabytes(process: Path = Path("/proc/self")) -> float:
    """Resident memory of a process in MB."""
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def main() -> int:
    """Exit code 0 while the heartbeat is fresh: the health check of the containers."""
    seconds = heartbeat_age(heartbeat_file())
    print("no round trip through the broker yet" if seconds is None else f"last round trip {seconds:.0f} s ago")
    return 0 if seconds is not None and seconds < STALE_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
