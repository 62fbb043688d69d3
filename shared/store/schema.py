"""Schema versions: the migrations of this program, compared with those of a database."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).parent / "migrations"
APPLIED_SQL = "SELECT name FROM schema_migration ORDER BY name"
"""Migrations that were applied to a database."""
STATUS_SCHEMA_OLDER = "wvr.db was written by an older WVR; db_writer migrates it when it starts"


def newer_schema_error(applied: list[str]) -> str:
    """Return an error if a newer program applied other migrations; empty if not."""
    unknown = sorted(set(applied) - {path.stem for path in MIGRATIONS.glob("[0-9]*.py")})
    if not unknown:
        return ""
    return (
        f"wvr.db was written by a newer WVR (migrations {', '.join(unknown)}) and this program cannot use it: "
        "update WVR, or restore a backup from before the update with ./wvr restore"
    )


def older_schema_error(applied: list[str]) -> str:
    """Return an error if migrations of this program are missing; empty if not."""
    if {path.stem for path in MIGRATIONS.glob("[0-9]*.py")} <= set(applied):
        return ""
    return STATUS_SCHEMA_OLDER
