"""What WVR checks and sets for Mosquitto: its version, its access list and its time zone. Standard library only."""

from __future__ import annotations

import re
import zoneinfo
from importlib import resources
from pathlib import Path

from cli.bootstrap import ROOT, CommandError

ACCESS_LIST = ROOT / "broker/acl"
MIN_VERSION = (2, 0)
TESTED_VERSIONS = ("2.0.11", "2.1.2")
"""Of Debian 12, for local processes, and of the image eclipse-mosquitto:2."""
RULE = re.compile(r"user \S.*|(topic|pattern) ((read|write|readwrite|deny) )?\S.*")
"""A line of an access list."""


def require_supported(text: str) -> None:
    """Check what `mosquitto -h` prints. Raises CommandError if the version is too old."""
    line = text.partition("\n")[0]
    match = re.search(r"(\d+)\.(\d+)", line)
    if match and (int(match[1]), int(match[2])) < MIN_VERSION:
        raise CommandError(
            f"{line} is too old: WVR needs Mosquitto {'.'.join(map(str, MIN_VERSION))} or later, and is tested with "
            f"{' and '.join(TESTED_VERSIONS)}. Debian 12 has 2.0.11 (sudo apt-get install mosquitto); for Docker run "
            "docker pull eclipse-mosquitto:2"
        )


def require_valid_access_list(file: Path) -> None:
    """Check an access list: Mosquitto 2.1 ends with an invalid one. Raises CommandError with the line."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#") and not RULE.fullmatch(line):
            raise CommandError(
                f"{file}, line {number}: {line[:80]!r} is no rule: write "
                "`user NAME` or `topic read|write|readwrite TOPIC`"
            )


def posix_zone(name: str) -> str:
    """Return a time zone as POSIX TZ, such as KST-9: the broker's image has no time zone database.

    It is the last line of the zone's file (RFC 8536). Returns UTC0 for a zone without one.
    """
    files = [Path(folder, name) for folder in zoneinfo.TZPATH]
    file = next((file for file in files if file.is_file()), None)
    content = file.read_bytes() if file else resources.files("tzdata").joinpath("zoneinfo", name).read_bytes()
    lines = content.split(b"\n")
    return lines[-2].decode("ascii") if len(lines) > 2 and lines[-2] else "UTC0"
