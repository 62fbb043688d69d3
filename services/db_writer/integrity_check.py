"""Damage of a database that runs: looked for each hour, and at once when a service that reads has met it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.contract.messages import Status, Tick
from shared.contract.service import STATUS_DATABASE_DAMAGED

CHECK_AT_MINUTE = 15
"""Of each hour; the copies begin at half past."""


class IntegrityCheck(Protocol):
    """Reads the whole database while it is being written."""

    def start(self) -> None:
        """Starts a look; does nothing while one is going on."""
        ...

    def poll(self) -> str:
        """The damage that looks have found since it was last asked; empty when there is none."""
        ...


class NullIntegrityCheck:
    """For a replay: its folder can be made again."""

    def start(self) -> None:
        pass

    def poll(self) -> str:
        return ""


class IntegrityMonitor:
    """Begins looks, and has what they find mended before anything more is stored."""

    def __init__(self, check: IntegrityCheck, repair: Callable[[], None]) -> None:
        """`mend` replaces a damaged database, and then ends the process."""
        self._check, self._repair = check, repair
        self._corruption = ""

    def on_message(self, message: Tick | Status) -> None:
        """Takes the minute, and what the others say of themselves."""
        if (
            STATUS_DATABASE_DAMAGED in message.note
            if isinstance(message, Status)
            else message.at.minute == CHECK_AT_MINUTE
        ):
            self._check.start()

    def repair_if_damaged(self) -> None:
        """Raises Unavailable as long as a damaged database can't be replaced."""
        self._corruption = self._check.poll() or self._corruption
        if self._corruption:
            self._repair()
            self._corruption = ""
