"""What keeps the database safe beside the storing: backups, looks for damage, and the filling of a restored one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from services.db_writer.backup import Backup, Copier, NoCopier
from services.db_writer.refill import Blocks, Filled, NoBlocks, Refill
from services.db_writer.soundness import Look, NoLook, Soundness
from shared.contract.messages import Command, Message, Status, Tick


class Kept(Filled, Protocol):
    """The database."""

    def mend(self) -> None: ...


class Care:
    """Driven by ticks, statuses and commands; without effects it does nothing, as in a replay."""

    def __init__(
        self,
        site: str,
        store: Kept,
        copier: Copier | None = None,
        blocks: Blocks | None = None,
        look: Look | None = None,
    ) -> None:
        self._backup = Backup(site, copier or NoCopier())
        self._refill = Refill(site, blocks or NoBlocks(), store)
        self._soundness = Soundness(look or NoLook(), store.mend)

    def hear(self, message: Tick | Status | Command) -> None:
        """Begins what is due or wanted."""
        if isinstance(message, Command):
            self._backup.wanted(message)
            return
        self._soundness.hear(message)
        if isinstance(message, Tick):
            self._backup.minute(message)
            self._refill.minute(message)

    def before(self) -> None:
        """Before a batch is stored. Raises Unavailable, and may be called again."""
        self._soundness.mend()
        self._refill.step()

    def after(self, gap: bool) -> Iterator[Message]:
        """After a batch was stored; gap: something that ingest has sent is missing. Yields what is to be told."""
        yield from self._backup.news()
        yield from self._refill.settled(gap)
