"""The nightly backup, and the one that an operator asks for: when it begins, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol

from shared.contract.messages import Command, Message, Progress, Response, Tick

NIGHTLY_BACKUP_TIME = time(2, 30)
"""Local time; a night that was missed is made up for at the next half hour."""


@dataclass(frozen=True)
class BackupProgress:
    """How far a copy is."""

    at: datetime
    done: int
    of: int
    text: str
    ok: bool | None = None
    """None while it goes on."""


class BackupRunner(Protocol):
    """Copies the database while it is being written."""

    def has_backup(self, day: date) -> bool:
        """Whether there is a backup of a local day."""
        ...

    def start(self, at: datetime | None) -> None:
        """Starts a copy, to be named by a local time (None: the machine's); does nothing while one is being made."""
        ...

    def poll(self) -> list[BackupProgress]:
        """What has come of it since it was last asked."""
        ...


class NullBackupRunner:
    """For a replay: its folder can be made again."""

    def has_backup(self, day: date) -> bool:  # noqa: ARG002
        return False

    def start(self, at: datetime | None) -> None:
        pass

    def poll(self) -> list[BackupProgress]:
        return []


class BackupScheduler:
    """Begins backups and answers for them."""

    def __init__(self, site: str, runner: BackupRunner) -> None:
        self._site, self._runner = site, runner
        self._transactions: list[str] = []
        self._now: datetime | None = None
        self._last_nightly: date | None = None
        """Day of the newest nightly backup that has not failed: a wrong clock may have named a later one."""

    def on_tick(self, tick: Tick) -> None:
        """Begins the nightly backup when it is due. Ticks name it: of two clocks they are the better one."""
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
        """Begins one now, and answers when it is done."""
        self._transactions.append(command.transaction)
        self._runner.start(self._now)

    def poll(self) -> Iterator[Message]:
        """Progress, and at the end the answers."""
        for progress in self._runner.poll():
            yield Progress(self._site, progress.at, "backup", progress.done, progress.of, None, progress.text)
            if progress.ok is False:
                self._last_nightly = None
            if progress.ok is not None:
                transactions, self._transactions = self._transactions, []
                yield from (Response(self._site, "backup", one, progress.ok, progress.text) for one in transactions)
