"""Damage of a database that runs: looked for each hour, and at once when a service that reads has met it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.contract.messages import Status, Tick
from shared.runtime.service import DAMAGED

MINUTE = 15
"""Of each hour; the copies begin at half past."""


class Look(Protocol):
    """Reads the whole database while it is being written."""

    def begin(self) -> None:
        """Starts a look; does nothing while one is going on."""
        ...

    def found(self) -> str:
        """The damage that looks have found since it was last asked; empty when there is none."""
        ...


class NoLook:
    """For a replay: its folder can be made again."""

    def begin(self) -> None:
        pass

    def found(self) -> str:
        return ""


class Soundness:
    """Begins looks, and has what they find mended before anything more is stored."""

    def __init__(self, look: Look, mend: Callable[[], None]) -> None:
        """`mend` replaces a damaged database, and then ends the process."""
        self._look, self._mend = look, mend
        self._damage = ""

    def hear(self, message: Tick | Status) -> None:
        """Takes the minute, and what the others say of themselves."""
        if DAMAGED in message.note if isinstance(message, Status) else message.at.minute == MINUTE:
            self._look.begin()

    def mend(self) -> None:
        """Raises Unavailable as long as a damaged database can't be replaced."""
        self._damage = self._look.found() or self._damage
        if self._damage:
            self._mend()
            self._damage = ""
