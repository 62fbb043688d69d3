"""What has come from the broker and is not handled yet, and what of it the broker will deliver again."""

from __future__ import annotations

import queue
from typing import NamedTuple


class RawMessage(NamedTuple):
    """What is needed of a message; paho's own, with its properties, takes ten times the memory of it."""

    topic: str
    payload: bytes
    mid: int
    qos: int


class Packet(NamedTuple):
    """What came, and through which connection of which of the broker's sessions."""

    session: int
    connection: int
    raw: RawMessage


class Inbox:
    """Filled by the network thread.

    After a reconnect the broker delivers again what was not acknowledged, so what the old connection brought is
    dropped; a broker that has forgotten the session delivers nothing again, so then it is kept.
    """

    def __init__(self) -> None:
        self._packets: queue.SimpleQueue[Packet] = queue.SimpleQueue()
        self._attempt = 0
        self._current = (0, 0)
        """The session and the connection that now deliver."""

    def __len__(self) -> int:
        return self._packets.qsize()

    @property
    def connection(self) -> int:
        """Number of the connection that now delivers; each new one has a greater one."""
        return self._current[1]

    def connecting(self) -> None:
        """A new connection is tried: what came before can't be acknowledged any more."""
        self._attempt += 1

    def connected(self, session_present: bool) -> None:
        """The broker has taken the service in; `session_present`: it remembers what it delivered."""
        self._current = (self._current[0] + (not session_present), self._attempt)

    def put(self, message: RawMessage) -> None:
        self._packets.put(Packet(*self._current, message))

    def get(self, block: bool, seconds: float) -> Packet:
        """The next packet. Raises queue.Empty."""
        return self._packets.get(block, seconds)

    def will_be_redelivered(self, packet: Packet) -> bool:
        """Whether the broker delivers a packet once more."""
        session, connection = self._current
        return packet.session == session and packet.connection != connection

    def may_acknowledge(self, packet: Packet) -> bool:
        """Whether its number still means this packet to the broker."""
        return packet.connection == self._attempt
