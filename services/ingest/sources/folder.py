"""The files of data/sensor/ and the folders below it that may hold readings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath

from shared.contract.messages import LocalizedText
from shared.contract.texts import localized
from shared.settings.sections import FileTable

MAX_FILES = 10_000
"""Files that are scanned."""
MAX_DEPTH = 4
"""Levels of folders below data/sensor/: year, month, day, meter."""
OWN_FOLDERS = ("outbox",)
"""Folders in data/sensor/ that WVR writes."""
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")


def list_input_files(folder: Path, depth: int = 0, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yield the name, relative to the folder, and the state of each file, without those that WVR writes.

    The last by name come first: of too many files, those are the newest.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
    except OSError:
        return
    for entry in entries:
        name = entry.name
        is_own = name == "alert.txt" or fnmatchcase(name, "server*.txt") if depth == 0 else False
        if is_own or name.startswith("."):
            continue
        with suppress(OSError):
            state = entry.stat()
            if stat.S_ISREG(state.st_mode):
                yield prefix + name, state
            elif depth < MAX_DEPTH and entry.is_dir(follow_symlinks=False) and not (depth == 0 and name in OWN_FOLDERS):
                yield from list_input_files(Path(entry.path), depth + 1, f"{prefix}{name}/")


def matching_table(name: str, tables: Sequence[FileTable]) -> FileTable | None:
    """Return the first table whose pattern fits the name of a file, whatever its case and also with .gz."""
    plain = PurePosixPath(name).name.casefold()
    for table in tables:
        pattern = table.files.casefold()
        if fnmatchcase(plain, pattern) or fnmatchcase(plain.removesuffix(".gz"), pattern):
            return table
    return None


class FolderScan:
    """Lists the files of a folder, and warns once of those that are not read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warned: set[str] = set()

    def list(self) -> tuple[list[tuple[str, os.stat_result]], list[tuple[str, LocalizedText]]]:
        """Return names and states of the files, by name, and new warnings with the name of a file or folder."""
        listed = list(islice(list_input_files(self._folder), MAX_FILES + 1))
        warnings = {}
        if len(listed) > MAX_FILES:
            warnings[self._folder.name] = localized(
                "파일이 {limit}개보다 많아 나머지는 읽지 않습니다",
                "there are more than {limit} files; the others are not read",
                limit=MAX_FILES,
            )
        for name, _ in listed:
            if not name.isprintable():
                warnings[self._folder.name] = localized(
                    "이름에 출력할 수 없는 문자가 있어 건너뜁니다: {name!a}",
                    "file skipped, its name is not printable: {name!a}",
                    name=name,
                )
            elif name.casefold().endswith(SPREADSHEETS):
                warnings[name] = localized(
                    "스프레드시트는 실시간으로 읽지 않습니다: ./wvr import로 가져오거나 CSV로 저장하세요",
                    "a spreadsheet is not followed: use ./wvr import, or save it as CSV",
                )
        new = [(name, text) for name, text in warnings.items() if name + text.en not in self._warned]
        self._warned = {name + text.en for name, text in warnings.items()}
        return sorted((name, state) for name, state in listed[:MAX_FILES] if name.isprintable()), new
