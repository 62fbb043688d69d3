"""The migrations of this program, and a database that has seen later ones, or not yet all."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
APPLIED_SQL = "SELECT name FROM schema_migration ORDER BY name"
"""On a database of WVR: what has made its tables."""
STATUS_SCHEMA_OLDER = "wvr.db is of an older WVR; db_writer brings it up to date when it starts"


def newer_schema_error(applied: list[str]) -> str:
    """In plain words that a newer program has written a database with these migrations; empty when none has."""
    unknown = sorted(set(applied) - {path.stem for path in MIGRATIONS.glob("[0-9]*.py")})
    if not unknown:
        return ""
    return (
        f"wvr.db is of a newer WVR (it has {', '.join(unknown)}), which this program must not write or read: "
        "update WVR again, or ./wvr restore a backup from before the update"
    )


def older_schema_error(applied: list[str]) -> str:
    """In plain words that db_writer has not made all tables of this program yet; empty when it has."""
    if {path.stem for path in MIGRATIONS.glob("[0-9]*.py")} <= set(applied):
        return ""
    return STATUS_SCHEMA_OLDER
