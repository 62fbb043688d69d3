"""Where WVR runs, and whether its port is free. Standard library only."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from cli.bootstrap import CommandError

PORT_ADVICE = (
    "choose another (WVR_BROKER__PORT=1884 ./wvr up) or stop it (perhaps: sudo systemctl disable --now mosquitto)"
)


def data_folder() -> Path:
    """Folder of everything that WVR writes."""
    return Path(os.environ["WVR_DATA"])


def supervisor_pid(data: Path) -> int | None:
    """Process id of the supervisord of local mode; None when it doesn't run."""
    try:
        pid = int((data / "run/supervisord.pid").read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"supervisord" in command else None


def require_free_port(bind: str, port: int) -> None:
    """Raises Missing when another program listens there already."""
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CommandError(f"port {port} of {bind} is in use by another program; {PORT_ADVICE}") from error
            raise CommandError(f"{bind}:{port} can't be listened on: {error.strerror}") from error
