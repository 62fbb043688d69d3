"""The two sides of a bus that a service sees: what comes in, and what must be safe before it is acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from shared.contract.messages import Anomaly, Command, Message
from shared.contract.service import Service
from shared.contract.topics import topic_of


def noop() -> None:
    """What a service does while the broker is away that has no source to read."""


class Delivery(NamedTuple):
    """A message with its acknowledgement."""

    message: Any
    """A Message; from a source of ingest, what the source read."""
    acknowledge: Callable[[], object]


class Bus(Protocol):
    """Delivers at least once, in order of each producer."""

    def open(self, service: Service, while_disconnected: Callable[[], None] = ...) -> None:
        """Connects and subscribes to what the service consumes; `meanwhile` is called while the broker is away."""
        ...

    def receive(self, max_messages: int, wait_seconds: float) -> Sequence[Delivery]:
        """Up to `most` messages; waits up to `wait` seconds for the first one."""
        ...

    def publish(self, message: Message) -> None:
        """Sends a message; it is safe only after `confirm`."""
        ...

    def confirm(self) -> None:
        """Returns when the broker has confirmed all that was published."""
        ...

    def heartbeat(self, note: str) -> None:
        """Shows that the service is alive; note is what hinders it."""
        ...

    def close(self) -> None:
        """Leaves; what was not acknowledged comes again to the next run of the service."""
        ...


@dataclass
class Session:
    """What a broker keeps for one service, whether it runs or not."""

    consumes: tuple[type[Message], ...]
    commands: tuple[str, ...]
    inbox: deque[Message] = field(default_factory=deque)
    unacknowledged: deque[Message] = field(default_factory=deque)

    def accepts(self, message: Message) -> bool:
        """Whether the message is for this service."""
        return message.name in self.commands if isinstance(message, Command) else type(message) in self.consumes


class MemoryBroker:
    """A broker in the same process: sessions by name, retained messages by topic."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self._routes: dict[type[Message], list[Session]] = {}

    def session(self, service: Service) -> Session:
        """The session of a service; a new one first gets what is retained."""
        if service.name not in self.sessions:
            session = self.sessions[service.name] = Session(service.consumes, service.commands)
            session.inbox.extend(message for message in self.retained.values() if session.accepts(message))
            self._routes.clear()
        return self.sessions[service.name]

    def publish(self, message: Message) -> None:
        """Puts a message into the inbox of every session that wants it."""
        kind = type(message)
        if kind not in self._routes:
            self._routes[kind] = [one for one in self.sessions.values() if kind in one.consumes or kind is Command]
        for session in self._routes[kind]:
            if kind is not Command or session.accepts(message):
                session.inbox.append(message)
        if message.retained:
            self.retained[topic_of(message)] = message
        elif kind is Anomaly:
            self.retained.pop(topic_of(message), None)


class MemoryBus:
    """One service's side of a MemoryBroker: replay, demo and tests."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._session = Session((), ())

    def open(self, service: Service, while_disconnected: Callable[[], None] = noop) -> None:  # noqa: ARG002
        self._session = self._broker.session(service)

    @property
    def waiting(self) -> int:
        """Messages that can be received."""
        return len(self._session.inbox)

    def receive(self, max_messages: int, wait_seconds: float = 0.0) -> Sequence[Delivery]:  # noqa: ARG002
        inbox, pending = self._session.inbox, self._session.unacknowledged
        deliveries: list[Delivery] = []
        while inbox and len(deliveries) < max_messages:
            message = inbox.popleft()
            pending.append(message)
            deliveries.append(Delivery(message, pending.popleft))
        return deliveries

    def publish(self, message: Message) -> None:
        self._broker.publish(message)

    def confirm(self) -> None:
        """What is in an inbox is as safe as this process."""

    def heartbeat(self, note: str) -> None:
        """Nobody watches a service within the same process."""

    def close(self) -> None:
        self._session.inbox.extendleft(reversed(self._session.unacknowledged))
        self._session.unacknowledged.clear()
