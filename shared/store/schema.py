"""The tables of wvr.db: each version of WVR brings them forward, and none goes back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"


def newer(path: Path) -> str:
    """What a newer WVR has made of a database, so that this one must not write it; empty when nothing. Reads only.

    Also empty for a file that can't be read: whoever works with it next says why.
    """
    known = {file.stem for file in MIGRATIONS.glob("[0-9]*.py")}
    try:
        with closing(sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True)) as source:
            applied = [name for (name,) in source.execute("SELECT name FROM schema_migration ORDER BY name")]
    except sqlite3.Error:
        return ""
    return ", ".join(name for name in applied if name not in known)
