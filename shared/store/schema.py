"""Schema versions: the migrations of this program, compared with those of a database."""

from __future__ import annotations

from pathlib import Path

from shared.contract.status_codes import Problem, problem

MIGRATIONS = Path(__file__).parent / "migrations"
APPLIED_SQL = "SELECT name FROM schema_migration ORDER BY name"
"""Migrations that were applied to a database."""


def newer_schema_problem(applied: list[str]) -> Problem | None:
    """Return a problem if a newer program applied other migrations."""
    unknown = sorted(set(applied) - {path.stem for path in MIGRATIONS.glob("[0-9]*.py")})
    if not unknown:
        return None
    return problem("schema_newer", migrations=", ".join(unknown))


def older_schema_problem(applied: list[str]) -> Problem | None:
    """Return a problem if migrations of this program are missing."""
    if {path.stem for path in MIGRATIONS.glob("[0-9]*.py")} <= set(applied):
        return None
    return problem("schema_older")
