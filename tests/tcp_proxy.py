"""A TCP proxy that a test cuts, or makes swallow what it should pass on."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress

SUBACK, NOT_AUTHORIZED = 0x90, b"\x87"


class TcpProxy:
    """Passes bytes between a port of its own and another one."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.swallows = False
        """Takes what the broker says, and passes nothing on: connected, and deaf."""
        self.refuses = False
        """Turns its last answer to a subscription into `Not authorized`; Mosquitto's access list never does."""
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_connections(self) -> None:
        """Ends every connection that stands."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends all."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_connections()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    near.close()
                    continue
                self._sockets += [near, far]
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as waiting, suppress(OSError):
            waiting.register(near, selectors.EVENT_READ, far)
            waiting.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in waiting.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.fileobj is far and self.refuses and data[0] == SUBACK:
                        end = 1 + data[1]
                        data = data[:end] + NOT_AUTHORIZED + data[end + 1 :]
                    if not (self.swallows and key.fileobj is far):
                        key.data.sendall(data)
