"""The bus as a service sees it: incoming messages, and outgoing ones that must be safe before the acknowledgement."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from shared.contract.messages import Anomaly, Command, Message
from shared.contract.service import Service
from shared.contract.status_codes import Problem
from shared.contract.topics import retained_topics, topic_of


def noop() -> None:
    """Do nothing; the default for services without a source to read while the broker is away."""


class Delivery(NamedTuple):
    """A message with its acknowledgement."""

    message: Any
    """A Message; from a source of ingest, a measurement or bad line."""
    acknowledge: Callable[[], object]


class Bus(Protocol):
    """Delivers at least once, in order per producer."""

    def open(self, service: Service, while_disconnected: Callable[[], None] = ...) -> None:
        """Connect and subscribe for a service; `while_disconnected` is called while the broker is away."""
        ...

    def receive(self, max_messages: int, wait_seconds: float) -> Sequence[Delivery]:
        """Return up to `max_messages`; wait up to `wait_seconds` for the first one."""
        ...

    def publish(self, message: Message) -> None:
        """Send a message; it is safe only after `confirm`."""
        ...

    def forget(self, sensor: str) -> None:
        """Remove the service's retained messages of a sensor; those with an id are its own to remove."""
        ...

    def confirm(self) -> None:
        """Wait until the broker has confirmed all published messages."""
        ...

    def heartbeat(self, problems: Sequence[Problem]) -> None:
        """Report that the service is alive, with its problems, the most urgent first."""
        ...

    def close(self) -> None:
        """Disconnect; unacknowledged messages are redelivered to the next run of the service."""
        ...


@dataclass
class Session:
    """The broker's session of one service; it outlives the service's process."""

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
        """Return the session of a service; a new session starts with the retained messages."""
        if service.name not in self.sessions:
            session = self.sessions[service.name] = Session(service.consumes, service.commands)
            session.inbox.extend(message for message in self.retained.values() if session.accepts(message))
            self._routes.clear()
        return self.sessions[service.name]

    def publish(self, message: Message) -> None:
        """Append a message to the inbox of every session that accepts it."""
        kind = type(message)
        if kind not in self._routes:
            sessions = self.sessions.values()
            self._routes[kind] = [session for session in sessions if kind in session.consumes or kind is Command]
        for session in self._routes[kind]:
            if kind is not Command or session.accepts(message):
                session.inbox.append(message)
        if message.retained:
            self.retained[topic_of(message)] = message
        elif kind is Anomaly:
            self.retained.pop(topic_of(message), None)


class MemoryBus:
    """One service's side of a MemoryBroker, for replay, demo and tests."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._session = Session((), ())
        self._name = ""
        self._produces: tuple[type[Message], ...] = ()

    def open(self, service: Service, while_disconnected: Callable[[], None] = noop) -> None:  # noqa: ARG002
        self._session = self._broker.session(service)
        self._name, self._produces = service.name, service.produces

    @property
    def waiting(self) -> int:
        """Number of messages that can be received."""
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

    def forget(self, sensor: str) -> None:
        for message in list(self._broker.retained.values()):
            if topic_of(message) in retained_topics(self._produces, message.site, sensor, self._name):
                del self._broker.retained[topic_of(message)]

    def confirm(self) -> None:
        """Do nothing: an inbox is as safe as this process."""

    def heartbeat(self, problems: Sequence[Problem]) -> None:
        """Do nothing: no watchdog runs in the same process."""

    def close(self) -> None:
        self._session.inbox.extendleft(reversed(self._session.unacknowledged))
        self._session.unacknowledged.clear()
