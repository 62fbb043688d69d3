"""Where the dashboard is reached, and whether it may be reached there. Standard library only."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cli.bootstrap import CommandError
from cli.local_site import require_free_port

PORT_VARIABLE, BIND_VARIABLE = "WVR_DASHBOARD__PORT", "WVR_DASHBOARD__BIND"
DEFAULT_PORT = 8080
PASSWORDS_FILE = "secrets/dashboard/passwords.json"
"""Hashes of the passwords, in the data folder."""


class DashboardAddress(NamedTuple):
    """Address and port of the dashboard on this machine."""

    bind: str
    port: int

    @property
    def url(self) -> str:
        """Return the address for a browser on this machine, or on the network if it listens there."""
        host = "localhost" if _is_loopback(self.bind) or self.bind in ("0.0.0.0", "::") else self.bind
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def require_password(self, data: Path) -> None:
        """Check that there is a password if others reach the dashboard. Raises CommandError."""
        if not _is_loopback(self.bind) and not (data / PASSWORDS_FILE).exists():
            raise CommandError(
                f"{BIND_VARIABLE}={self.bind}: others could reach the dashboard; set a password first: ./wvr password"
            )

    def require_free(self) -> None:
        """Check that no program uses the port. Raises CommandError."""
        require_free_port(self.bind, self.port, PORT_VARIABLE)


def dashboard_address() -> DashboardAddress:
    """Return the address that the environment sets."""
    return DashboardAddress(
        os.environ.get(BIND_VARIABLE) or "127.0.0.1", int(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT)
    )


def _is_loopback(bind: str) -> bool:
    try:
        return ip_address(bind).is_loopback
    except ValueError:
        raise CommandError(f"{BIND_VARIABLE}={bind}: write an IP address such as 127.0.0.1 or 0.0.0.0") from None
