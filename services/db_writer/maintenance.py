"""What keeps the database safe beside the storing: backups, looks for damage, and the filling of a restored one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from services.db_writer.backfill import Backfill, BackfillSource, BackfillTarget, NullBackfillSource
from services.db_writer.backup_scheduler import BackupRunner, BackupScheduler, NullBackupRunner
from services.db_writer.integrity_check import IntegrityCheck, IntegrityMonitor, NullIntegrityCheck
from shared.contract.messages import Command, Message, Status, Tick


class RepairableStore(BackfillTarget, Protocol):
    """The database."""

    def repair(self) -> None: ...


class DatabaseMaintenance:
    """Driven by ticks, statuses and commands; without effects it does nothing, as in a replay."""

    def __init__(
        self,
        site: str,
        store: RepairableStore,
        backup_runner: BackupRunner | None = None,
        backfill_source: BackfillSource | None = None,
        integrity_check: IntegrityCheck | None = None,
    ) -> None:
        self._backup = BackupScheduler(site, backup_runner or NullBackupRunner())
        self._backfill = Backfill(site, backfill_source or NullBackfillSource(), store)
        self._integrity = IntegrityMonitor(integrity_check or NullIntegrityCheck(), store.repair)

    def on_message(self, message: Tick | Status | Command) -> None:
        """Begins what is due or wanted."""
        if isinstance(message, Command):
            self._backup.on_command(message)
            return
        self._integrity.on_message(message)
        if isinstance(message, Tick):
            self._backup.on_tick(message)
            self._backfill.on_tick(message)

    def before_batch(self) -> None:
        """Before a batch is stored. Raises Unavailable, and may be called again."""
        self._integrity.repair_if_damaged()
        self._backfill.run_step()

    def after_batch(self, gap: bool) -> Iterator[Message]:
        """After a batch was stored; gap: something that ingest has sent is missing. Yields what is to be told."""
        yield from self._backup.poll()
        yield from self._backfill.after_batch(gap)
