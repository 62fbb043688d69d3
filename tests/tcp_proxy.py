"""A TCP proxy that can close connections, discard bytes and refuse subscriptions."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

SUBACK, NOT_AUTHORIZED = 0x90, b"\x87"


class TcpProxy:
    """Passes bytes between its own port and a target port."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.swallows = False
        """Discard what the broker sends: clients stay connected and receive nothing."""
        self.refuses = False
        """Change the last reason code of a SUBACK to `Not authorized`, which Mosquitto's access list never sends."""
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_connections(self) -> None:
        """Close every open connection."""
        sockets, self._sockets = self._sockets, []
        for connection in sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening and close every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_connections()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    client.close()
                    continue
                self._sockets += [client, broker]
                threading.Thread(target=self._pass, args=(client, broker), daemon=True).start()

    def _pass(self, client: socket.socket, broker: socket.socket) -> None:
        with client, broker, selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(client, selectors.EVENT_READ, broker)
            selector.register(broker, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.fileobj is broker and self.refuses and data[0] == SUBACK:
                        end = 1 + data[1]
                        data = data[:end] + NOT_AUTHORIZED + data[end + 1 :]
                    if not (self.swallows and key.fileobj is broker):
                        key.data.sendall(data)
