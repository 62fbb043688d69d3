"""Maintenance beside storing: backups, integrity checks and the backfill of a restored database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from services.db_writer.backfill import Backfill, BackfillSource, BackfillTarget, NullBackfillSource
from services.db_writer.backup_scheduler import BackupRunner, BackupScheduler, NullBackupRunner
from services.db_writer.integrity_check import IntegrityCheck, IntegrityMonitor, NullIntegrityCheck
from shared.contract.messages import Command, Message, Status, Tick


class RepairableStore(BackfillTarget, Protocol):
    """A database that can be backfilled and repaired."""

    def repair(self) -> None: ...


class DatabaseMaintenance:
    """Driven by ticks, statuses and commands. Without collaborators it does nothing, as in a replay."""

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
        """Start what is due or requested."""
        if isinstance(message, Command):
            self._backup.on_command(message)
            return
        self._integrity.on_message(message)
        if isinstance(message, Tick):
            self._backup.on_tick(message)
            self._backfill.on_tick(message)

    def before_batch(self) -> None:
        """Repair and backfill before a batch is stored. Raises Unavailable and can be called again."""
        self._integrity.repair_if_damaged()
        self._backfill.run_step()

    def after_batch(self, gap: bool) -> Iterator[Message]:
        """Yield progress after a batch was stored; `gap`: readings that ingest published are missing."""
        yield from self._backup.poll()
        yield from self._backfill.after_batch(gap)
