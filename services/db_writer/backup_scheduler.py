"""Schedules the nightly backup and those that an operator requests, and reports their progress."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol

from shared.contract.messages import Command, LocalizedText, Message, Progress, Response, Tick

NIGHTLY_BACKUP_TIME = time(2, 30)
"""Local time; a missed backup is made at minute 30 of a later hour."""


@dataclass(frozen=True)
class BackupProgress:
    """Progress of one backup."""

    at: datetime
    done: int
    of: int
    text: LocalizedText
    ok: bool | None = None
    """None while the backup runs."""


class BackupRunner(Protocol):
    """Backs up the database while it is being written."""

    def has_backup(self, day: date) -> bool:
        """Whether there is a backup of a local day."""
        ...

    def start(self, at: datetime | None) -> None:
        """Start a backup named by a local time (None: the machine's); do nothing while one runs."""
        ...

    def poll(self) -> list[BackupProgress]:
        """Return the progress since the last call."""
        ...


class NullBackupRunner:
    """Null object for a replay, which can be repeated."""

    def has_backup(self, day: date) -> bool:  # noqa: ARG002
        return False

    def start(self, at: datetime | None) -> None:
        pass

    def poll(self) -> list[BackupProgress]:
        return []


class BackupScheduler:
    """Starts backups and reports their results."""

    def __init__(self, site: str, runner: BackupRunner) -> None:
        self._site, self._runner = site, runner
        self._transactions: list[str] = []
        self._now: datetime | None = None
        self._last_nightly: date | None = None
        """Day of the newest nightly backup that has not failed. A wrong clock may have named a later one."""

    def on_tick(self, tick: Tick) -> None:
        """Start the nightly backup when it is due.

        Its name is the tick's time, which is more reliable than the machine's.
        """
        self._now = tick.at
        due = (
            tick.at.minute == NIGHTLY_BACKUP_TIME.minute
            and tick.at.timetz().replace(tzinfo=None) >= NIGHTLY_BACKUP_TIME
        )
        day = tick.at.date()
        if due and day != self._last_nightly and not self._runner.has_backup(day):
            self._last_nightly = day
            self._runner.start(tick.at)

    def on_command(self, command: Command) -> None:
        """Start a backup now; the response follows when it is done."""
        self._transactions.append(command.transaction)
        self._runner.start(self._now)

    def poll(self) -> Iterator[Message]:
        """Yield progress messages, and at the end the responses."""
        for progress in self._runner.poll():
            yield Progress(
                site=self._site,
                at=progress.at,
                job="backup",
                step=progress.done,
                of=progress.of,
                eta=None,
                text=progress.text,
            )
            if progress.ok is False:
                self._last_nightly = None
            if progress.ok is not None:
                transactions, self._transactions = self._transactions, []
                for transaction in transactions:
                    yield Response(
                        site=self._site, name="backup", transaction=transaction, ok=progress.ok, text=progress.text
                    )
