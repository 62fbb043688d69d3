"""The way to the broker: plain on this machine, by TLS where its authority is known."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from shared.settings import Broker


def tls_context(authority: Path) -> ssl.SSLContext:
    """Takes only a broker whose name this certificate vouches for. Raises SystemExit that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(authority)
    except OSError as error:
        why = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise SystemExit(f"{authority}: {why} (WVR_BROKER__CA)") from error
    return context


def connection_error(broker: Broker) -> str:
    """Why the broker can't be reached; empty when it can."""
    try:
        with socket.create_connection((broker.host, broker.connect_port), 5) as connection:
            if broker.ca:
                tls_context(broker.ca).wrap_socket(connection, server_hostname=broker.host).close()
    except OSError as error:
        return str(error)
    return ""
