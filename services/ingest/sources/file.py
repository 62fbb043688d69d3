"""Follows growing text files in data/sensor/, through rotation, truncation and restarts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from services.ingest.sources.clock import SiteClock
from services.ingest.sources.lines import BROKEN, LONGEST, BadLine, Measurement, Parser, is_cut, open_lines, read_line
from services.ingest.sources.place import NOT_ENDED, Place, files_of, load_places, save_places

Item = Measurement | BadLine
MOST_FILES = 10_000
"""Files of the folder that are looked at."""
STEPS = 2
"""Lines, or parts of one beyond all measure, that a poll looks at for each item that it may give."""
LARGEST_UNPACKED = 4_000_000_000
"""Bytes of a .gz: a year of 64 meters has 1.3 GB."""


class FileSource:
    """Reads whole lines only; a line that is still being written waits for its end.

    A file is known by its inode, so that the rest of a renamed one is still read, and by how it begins.
    """

    def __init__(self, folder: Path, pattern: str, zone: ZoneInfo, place_file: Path) -> None:
        self._folder, self._pattern, self._place_file = folder, pattern, place_file
        self._notes: list[BadLine] = []
        try:
            places, turning = load_places(place_file)
        except ValueError as error:
            places, turning = [], {}
            self._notes = [BadLine(place_file.name, 0, "", f"damaged, all files are read anew: {error}")]
        self._places = {place.inode: place for place in places}
        self._clock = SiteClock(zone, turning)
        self._parsers: dict[int, Parser] = {}
        self._troubled: set[int] = set()
        self._warned = ""
        self._moved = False
        self._reading = self._new()

    def poll(self, now: datetime, most: int) -> Iterator[Item]:  # noqa: ARG002
        """What is new, at most `most` items: file by file, those renamed since first, then in order of their names."""
        given = steps = 0
        while given < most and steps < STEPS * most:
            steps += 1
            try:
                item = next(self._reading)
            except StopIteration:
                self._reading = self._new()
                return
            if item is not None:
                given += 1
                yield item

    def done(self) -> None:
        """Remembers the place: all that was polled is safe. Raises OSError."""
        if self._moved:
            save_places(self._place_file, list(self._places.values()), self._clock.turning)
            self._moved = False

    def _new(self) -> Iterator[Item | None]:
        places = self._look()
        while self._notes:
            yield self._notes.pop()
        for place in places:
            if place.seen == place.ended:
                continue
            try:
                yield from self._read(place)
                self._troubled.discard(place.inode)
            except BROKEN as error:
                yield from self._trouble(place, error)

    def _look(self) -> list[Place]:
        """Places of all files there are; of a .gz only once it has stopped growing."""
        found = {}
        steady = set()
        for name, state in self._names():
            known = self._places.get(state.st_ino)
            if state.st_ino in found or not (self._wants(name) or (known and known.offset)):
                continue
            place = found[state.st_ino] = known or Place(name, state.st_ino)
            place.renamed = place.renamed or place.name != name
            place.name = name
            before, place.seen = place.seen, (state.st_size, state.st_mtime_ns)
            if not place.packed or before == place.seen:
                steady.add(state.st_ino)
        for inode in self._places.keys() - found.keys():
            self._part_with(self._places[inode], found)
        self._places = found
        return sorted((found[inode] for inode in steady), key=lambda place: (not place.renamed, place.name))

    def _names(self) -> list[tuple[str, os.stat_result]]:
        """Names and states of the files that are looked at; says once what is left aside."""
        listed = list(islice(files_of(self._folder), MOST_FILES + 1))
        named = sorted((name, state) for name, state in listed[:MOST_FILES] if name.isprintable())
        strange = [name for name, _ in listed if not name.isprintable()]
        warning = f"there are more than {MOST_FILES} files; the rest is not read" if len(listed) > MOST_FILES else ""
        warning = warning or (f"a file whose name can't be printed is not read: {strange[0]!a}" if strange else "")
        if warning and warning != self._warned:
            self._notes.append(BadLine(self._folder.name, 0, "", warning))
        self._warned = warning
        return named

    def _wants(self, name: str) -> bool:
        return fnmatch(name, self._pattern) or fnmatch(name.removesuffix(".gz"), self._pattern)

    def _part_with(self, gone: Place, found: dict[int, Place]) -> None:
        """A copy put in the place of a file goes on where that one was; else what was not read of it is named."""
        self._moved = True
        self._parsers.pop(gone.inode, None)
        self._troubled.discard(gone.inode)
        heir = next((place for place in found.values() if place.name == gone.name and not place.offset), None)
        if heir and self._begins_alike(heir, gone):
            heir.offset, heir.lines, heir.header, heir.cut = gone.offset, gone.lines, gone.header, gone.cut
            heir.head_bytes, heir.head = gone.head_bytes, gone.head
        elif gone.ended == NOT_ENDED or gone.ended != gone.seen:
            self._notes.append(BadLine(gone.name, gone.lines, "", "gone; what came after this line was not read"))

    def _begins_alike(self, heir: Place, gone: Place) -> bool:
        try:
            with open_lines(self._folder / heir.name) as file:
                return gone.offset > 0 and gone.recognises(file)
        except BROKEN:
            return False

    def _read(self, place: Place) -> Iterator[Item | None]:
        path = self._folder / place.name
        with open_lines(path) as file:
            if path.stat().st_ino != place.inode:
                return
            if not place.recognises(file):
                yield from self._begin_anew(place)
                file.seek(0)
            if self._wants(place.name) or place.offset:
                yield from self._read_lines(place, file)
            else:
                place.ended = place.seen

    def _begin_anew(self, place: Place) -> Iterator[Item]:
        if place.ended == NOT_ENDED:
            yield BadLine(place.name, place.lines, "", "overwritten; what came after this line was not read")
        place.offset, place.lines, place.header, place.head_bytes, place.head = 0, 0, "", 0, ""
        place.renamed, place.cut, self._moved = False, False, True
        self._parsers.pop(place.inode, None)

    def _read_lines(self, place: Place, file: BinaryIO) -> Iterator[Item | None]:
        """What is on the lines that the file had when it was looked at: one that grows for ever holds up no other.

        A line beyond all measure is one bad line, said when its first part is there; None for the rest of it.
        """
        parser = self._parser(place)
        place.ended = NOT_ENDED
        most = LARGEST_UNPACKED if place.packed else place.seen[0]
        while place.offset < most and (raw := file.readline(LONGEST)):
            if not (raw.endswith(b"\n") or is_cut(raw) or place.packed):
                break
            place.offset, self._moved = file.tell(), True
            rest, place.cut = place.cut, is_cut(raw)
            if rest:
                yield None
                continue
            place.lines += 1
            item = read_line(parser, place.name, place.lines, raw)
            place.header = parser.header
            place.remember_head(file)
            yield item
        if place.packed and place.offset >= most:
            raise OSError(f"it unpacks to more than {most:,} bytes")
        place.ended, self._moved = place.seen, True

    def _parser(self, place: Place) -> Parser:
        if place.inode not in self._parsers:
            parser = self._parsers[place.inode] = Parser(self._clock)
            if place.header:
                read_line(parser, place.name, 0, place.header.encode())
        return self._parsers[place.inode]

    def _trouble(self, place: Place, error: BaseException) -> Iterator[Item]:
        """Says once that a file can't be read; a .gz is tried again when it changes, any other at each poll."""
        if place.packed:
            place.ended, self._moved = place.seen, True
        if place.inode not in self._troubled:
            self._troubled.add(place.inode)
            yield BadLine(place.name, place.lines + 1, "", f"can't be read any further: {error}")
