"""The protocol of a service: a function with state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from shared.contract.messages import Message
from shared.contract.status_codes import Problem


class Unavailable(Exception):
    """A required resource is temporarily unavailable (locked database, full disk). Retry the same message."""

    def __init__(self, problem: Problem) -> None:
        """`problem` becomes the status of the service until the retry succeeds."""
        super().__init__(problem.text.en)
        self.problem = problem


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
