"""What every service is: a function with memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from shared.contract.messages import Message

STATUS_DATABASE_DAMAGED = "the database is damaged; db_writer repairs it"
"""What a service that reads says when it meets damage; db_writer hears it in the service's status."""


class Unavailable(Exception):
    """What the work needs can't be had now (a locked database, a full disk): not the message's fault, try it again."""


class Service(Protocol):
    """Messages in, messages out; no MQTT, SQL or clock inside, effects arrive as constructor arguments."""

    name: ClassVar[str]
    consumes: ClassVar[tuple[type[Message], ...]]
    produces: ClassVar[tuple[type[Message], ...]]
    commands: ClassVar[tuple[str, ...]]
    """Names of the commands that it owns."""

    def start(self) -> Iterable[Message]:
        """Rebuilds the memory from stored history, once, after the subscriptions stand; yields what is owed."""
        ...

    def handle(self, message: Message) -> Iterable[Message]:
        """Takes one message; yields what follows from it."""
        ...

    def end_batch(self) -> Iterable[Message]:
        """Ends a batch: makes safe what `handle` took before it is acknowledged. Raises Unavailable if it can't."""
        ...
