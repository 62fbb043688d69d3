"""STORED_TB says too up to which number ingest is known to have sent: beyond `seq`, readings are missing."""

from peewee import SqliteDatabase
from playhouse.migrate import SchemaMigrator


def up(migrator: SchemaMigrator, database: SqliteDatabase) -> None:  # noqa: ARG001
    """Adds the column; -1: nothing is known to be missing."""
    database.execute_sql("ALTER TABLE STORED_TB ADD COLUMN seen INTEGER NOT NULL DEFAULT -1")
