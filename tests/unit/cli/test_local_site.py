"""The process of a local site, and its port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cli.bootstrap import CommandError
from cli.local_site import require_free_port, supervisor_pid


def test_port_in_use_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} .* in use"):
            require_free_port("127.0.0.1", port)
    require_free_port("127.0.0.1", port)


def test_process_id_of_a_past_run_is_ignored(tmp_path: Path) -> None:
    assert supervisor_pid(tmp_path) is None
    (tmp_path / "run").mkdir()
    (tmp_path / "run/supervisord.pid").write_text(str(os.getpid()), encoding="ascii")
    assert supervisor_pid(tmp_path) is None
