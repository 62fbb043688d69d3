"""The protocol of a service: a function with state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from shared.contract.messages import Message

STATUS_DATABASE_DAMAGED = "the database is damaged; db_writer repairs it"
"""Status note of a service that reads a corrupt database; db_writer starts a check when it receives it."""


class Unavailable(Exception):
    """A required resource is temporarily unavailable (locked database, full disk). Retry the same message."""


class Service(Protocol):
    """Messages in, messages out, without MQTT, SQL or a clock inside; effects are constructor arguments."""

    name: ClassVar[str]
    consumes: ClassVar[tuple[type[Message], ...]]
    produces: ClassVar[tuple[type[Message], ...]]
    commands: ClassVar[tuple[str, ...]]
    """Names of the commands that the service handles."""

    def start(self) -> Iterable[Message]:
        """Rebuild the state from stored history, once, after subscribing; yield missing output."""
        ...

    def handle(self, message: Message) -> Iterable[Message]:
        """Process one message; yield what follows from it."""
        ...

    def end_batch(self) -> Iterable[Message]:
        """Make safe what `handle` received, before it is acknowledged. Raises Unavailable if it cannot."""
        ...
