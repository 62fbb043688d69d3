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
from typing import BinaryIO

from shared.runtime.files import write_whole

HEAD = 1024
"""Bytes at the beginning that tell a file from its successor."""

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
        content = json.loads(path.read_text(encoding="utf-8"))
        places = [Place(**one) for one in content["files"]]
        for place in places:
            place.seen = place.ended = (place.ended[0], place.ended[1])
        return places, {sensor: datetime.fromisoformat(at) for sensor, at in content["turning"].items()}
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


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
