"""Names of the reporter's files that db_writer reads after the database was restored."""

from __future__ import annotations

from pathlib import PurePosixPath

REPEATS_SUFFIX = ".repeats"


def repeats_name(name: str) -> str:
    """Return the file that lists the repeated values of a file of lines, as `minute sensor channel …`.

    It is hidden, so that no receiver takes it for a block.

    >>> repeats_name("outbox/server-20261123T2300.txt")
    'outbox/.server-20261123T2300.repeats'
    """
    path = PurePosixPath(name)
    return str(path.with_name(f".{path.stem}{REPEATS_SUFFIX}"))


def parse_repeats(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return (minute, sensor) of each line with repeated values, and their channels."""
    lines = (line.split() for line in text.splitlines())
    return {(columns[0], columns[1]): tuple(columns[2:]) for columns in lines if len(columns) > 2}
