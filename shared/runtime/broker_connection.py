"""Connection to the broker: who connects, and plain on this machine or by TLS if a CA certificate is configured."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from shared.settings import Settings
from shared.settings.sections import Broker

WILL_EXPIRY_SECONDS = 10 * 365 * 86_400
"""Expiry of a service's last will. A broker delivers what remains of it, which tells when it published the will."""

CLIENT_ID_FILE = "client_id"
"""Beside the password: random, since who knows the id of a session can take it over."""


def broker_password(name: str, settings: Settings) -> str:
    """Return the password of a broker user. Raises SystemExit if it is missing, OSError if it cannot be read."""
    return _secret(name, settings, "password")


def client_id(name: str, settings: Settings) -> str:
    """Return the id of a service's session at the broker; it survives restarts. Raises as `broker_password`."""
    return f"wvr-{name}-{_secret(name, settings, CLIENT_ID_FILE)}"


def _secret(name: str, settings: Settings, file: str) -> str:
    path = (settings.secrets or settings.data / "secrets" / name) / file
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SystemExit(f"{path}: the broker {file} of {name!r} is missing; run ./wvr up") from None


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
