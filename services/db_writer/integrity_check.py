"""Integrity check of the database: each hour, and at once when a reading service reports corruption."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.contract.messages import Status, Tick

CHECK_AT_MINUTE = 15
"""Minute of each hour; backups start at minute 30."""


class IntegrityCheck(Protocol):
    """Checks the whole database while it is being written."""

    def start(self) -> None:
        """Start a check; do nothing while one runs."""
        ...

    def poll(self) -> str:
        """Return the corruption found since the last call; empty if there is none."""
        ...


class NullIntegrityCheck:
    """Null object for a replay, which can be repeated."""

    def start(self) -> None:
        pass

    def poll(self) -> str:
        return ""


class IntegrityMonitor:
    """Starts integrity checks, and repairs a corrupt database before anything more is stored."""

    def __init__(self, check: IntegrityCheck, repair: Callable[[], None]) -> None:
        """`repair` replaces a corrupt database and then ends the process."""
        self._check, self._repair = check, repair
        self._corruption = ""

    def on_message(self, message: Tick | Status) -> None:
        """Start a check at its minute, or when a service reports a damaged database."""
        if isinstance(message, Status):
            is_due = message.code == "database_corrupt" and message.name != "db_writer"
        else:
            is_due = message.at.minute == CHECK_AT_MINUTE
        if is_due:
            self._check.start()

    def repair_if_damaged(self) -> None:
        """Repair a database that a check found corrupt. Raises Unavailable while it cannot be replaced."""
        self._corruption = self._check.poll() or self._corruption
        if self._corruption:
            self._repair()
            self._corruption = ""
