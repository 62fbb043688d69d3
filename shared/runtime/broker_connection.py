"""Connection to the broker: plain on this machine, TLS if a CA certificate is configured."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from shared.settings import Broker

WILL_EXPIRY_SECONDS = 10 * 365 * 86_400
"""Expiry of a service's last will. A broker delivers what remains of it, which tells when it published the will."""


def tls_context(authority: Path) -> ssl.SSLContext:
    """Return a context that accepts only brokers certified by this CA. Raises SystemExit that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(authority)
    except OSError as error:
        reason = "no certificate in PEM format" if isinstance(error, ssl.SSLError) else error.strerror
        raise SystemExit(f"{authority}: {reason} (WVR_BROKER__CA)") from error
    return context


def connection_error(broker: Broker) -> str:
    """Return why the broker cannot be reached; empty if it can."""
    try:
        with socket.create_connection((broker.host, broker.connect_port), 5) as connection:
            if broker.ca:
                tls_context(broker.ca).wrap_socket(connection, server_hostname=broker.host).close()
    except OSError as error:
        return str(error)
    return ""
