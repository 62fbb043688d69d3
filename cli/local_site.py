"""The local site: its data folder, its supervisor and its port. Standard library only."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from cli.bootstrap import ROOT, CommandError

PORT_ADVICE = "choose another port ({variable}={port} ./wvr up, or a line in .env) or stop that program{how}"
DEFAULT_PORT = 1883
STOP_MOSQUITTO = " (sudo systemctl disable --now mosquitto)"


def data_folder() -> Path:
    """Return the folder of everything that WVR writes."""
    return Path(os.environ["WVR_DATA"])


def supervisor_pid(data: Path) -> int | None:
    """Return the process id of the supervisord of local mode, or None if it does not run."""
    try:
        pid = int((data / "run/supervisord.pid").read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"supervisord" in command else None


def require_own_supervisor(data: Path) -> None:
    """Check that the processes of this data folder belong to this clone. Raises CommandError."""
    pid = supervisor_pid(data)
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if pid else []
    program = next((os.fsdecode(word) for word in words if word.endswith(b"/bin/supervisord")), "")
    if program and not Path(program).is_relative_to(ROOT):
        clone = Path(program).parent.parent.parent
        raise CommandError(
            f"the site in {data} runs from another clone, {clone}; stop it there ({clone}/wvr down), "
            "or set WVR_DATA to another folder"
        )


def require_free_port(bind: str, port: int, variable: str = "WVR_BROKER__PORT") -> None:
    """Check that no program listens on a port; `variable` sets it. Raises CommandError."""
    with socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                how = STOP_MOSQUITTO if port == DEFAULT_PORT else ""
                advice = PORT_ADVICE.format(variable=variable, port=port + 1, how=how)
                raise CommandError(f"port {port} of {bind} is in use by another program; {advice}") from error
            raise CommandError(f"can't listen on {bind}:{port}: {error.strerror}") from error
