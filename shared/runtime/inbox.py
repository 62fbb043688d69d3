"""Messages received from the broker and not yet handled, and which of them will be redelivered."""

from __future__ import annotations

import queue
from typing import NamedTuple


class RawMessage(NamedTuple):
    """The needed parts of a message; paho's object with its properties takes ten times the memory."""

    topic: str
    payload: bytes
    mid: int
    qos: int


class Packet(NamedTuple):
    """A message with the session and connection that delivered it."""

    session: int
    connection: int
    raw: RawMessage


class Inbox:
    """Queue that the network thread fills.

    After a reconnect the broker redelivers unacknowledged messages, so those of the old connection are dropped. A
    broker that lost the session redelivers nothing, so then they are kept.
    """

    def __init__(self) -> None:
        self._packets: queue.SimpleQueue[Packet] = queue.SimpleQueue()
        self._attempt = 0
        self._current = (0, 0)
        """Session and connection that deliver now."""

    def __len__(self) -> int:
        return self._packets.qsize()

    @property
    def connection(self) -> int:
        """Number of the present connection; it increases with each connection."""
        return self._current[1]

    def connecting(self) -> None:
        """Record that a new connection is attempted: earlier messages can no longer be acknowledged."""
        self._attempt += 1

    def connected(self, session_present: bool) -> None:
        """Record a connection; `session_present`: the broker still knows the unacknowledged messages."""
        self._current = (self._current[0] + (not session_present), self._attempt)

    def put(self, message: RawMessage) -> None:
        self._packets.put(Packet(*self._current, message))

    def get(self, block: bool, seconds: float) -> Packet:
        """Return the next packet. Raises queue.Empty."""
        return self._packets.get(block, seconds)

    def will_be_redelivered(self, packet: Packet) -> bool:
        """Whether the broker redelivers a packet."""
        session, connection = self._current
        return packet.session == session and packet.connection != connection

    def may_acknowledge(self, packet: Packet) -> bool:
        """Whether the packet's message id is still valid at the broker."""
        return packet.connection == self._attempt
