"""Where the reading of each followed file has come to, kept through restarts."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

from services.ingest.sources.lines import LONGEST
from shared.runtime.files import read_small, write_whole

HEAD = 1024
"""Bytes at the beginning that tell a file from its successor."""

LARGEST = 20_000_000
"""Bytes of the file with all places."""
NOT_ENDED = (-1, -1)


@dataclass
class Place:
    """How far one file has been read."""

    name: str
    inode: int
    offset: int = 0
    """Bytes, unpacked, up to the end of the last line that was handed out."""
    lines: int = 0
    header: str = ""
    head_bytes: int = 0
    head: str = ""
    """SHA-256 of the first head_bytes, unpacked."""
    seen: tuple[int, int] = NOT_ENDED
    """Size and time of change of the file when it was last looked at."""
    ended: tuple[int, int] = NOT_ENDED
    """What `seen` was when nothing more was left to read."""
    renamed: bool = False
    cut: bool = False
    """Whether what lies behind the offset belongs to a line that was too long."""

    @property
    def packed(self) -> bool:
        return self.name.endswith(".gz")

    def recognises(self, file: BinaryIO) -> bool:
        """Whether a file still begins with what was read of it and reaches that far; leaves it at the offset."""
        same = _checksum(file.read(self.head_bytes)) == self.head if self.head_bytes else True
        if self.offset:
            file.seek(self.offset - 1)
            same = same and bool(file.read(1))
        return same

    def remember_head(self, file: BinaryIO) -> None:
        """Takes the beginning of the file for its mark, as far as it was read."""
        if self.head_bytes < min(HEAD, self.offset):
            file.seek(0)
            self.head_bytes = min(HEAD, self.offset)
            self.head = _checksum(file.read(self.head_bytes))
            file.seek(self.offset)


def load_places(path: Path) -> tuple[list[Place], dict[str, datetime]]:
    """Places, and the sensors' newest minutes within an hour that came twice. Raises ValueError for a damaged file."""
    if not path.exists():
        return [], {}
    try:
        content = json.loads(read_small(path, LARGEST))
        turning = {sensor: datetime.fromisoformat(at) for sensor, at in content["turning"].items()}
        if any(at.tzinfo is None for at in turning.values()):
            raise ValueError("a time has no offset")
        return [_place(one) for one in content["files"]], turning
    except (OSError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _place(said: dict[str, Any]) -> Place:
    """A place as it was saved. Raises LookupError, TypeError or ValueError."""
    place = Place(**said)
    place.seen = place.ended = (place.ended[0], place.ended[1])
    numbers = (place.inode, place.offset, place.lines, place.head_bytes, *(number + 1 for number in place.ended))
    if not all(type(number) is int and 0 <= number < 2**63 for number in numbers) or place.head_bytes > HEAD:
        raise ValueError(f"no place in a file: {numbers}")
    if not all(isinstance(text, str) for text in (place.name, place.header, place.head)):
        raise TypeError("a name is no text")
    if not place.name.isprintable() or len(place.header) > LONGEST:
        raise ValueError("no name of a file, or no header")
    place.renamed, place.cut = place.renamed is True, place.cut is True
    return place


def save_places(path: Path, places: list[Place], turning: dict[str, datetime]) -> None:
    """Writes beside, flushes and renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = {sensor: at.isoformat() for sensor, at in turning.items()}
    write_whole(path, json.dumps({"files": [asdict(place) for place in places], "turning": times}, indent=1))


def files_of(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Name and state of the files in a folder, without those that WVR writes itself."""
    for path in folder.iterdir() if folder.is_dir() else ():
        own = path.name == "alert.txt" or path.name.startswith(".") or fnmatch(path.name, "server*.txt")
        with suppress(OSError):
            if not own and stat.S_ISREG((state := path.stat()).st_mode):
                yield path.name, state


def _checksum(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
