"""The broker's certificates: PEM files that the operator puts into data/secrets/tls/. Standard library only."""

from __future__ import annotations

import ssl
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from cli.bootstrap import CommandError

FILES = ("ca.crt", "server.crt", "server.key")
"""The authority's certificate, the broker's certificate with its intermediates, and its key without a passphrase."""
BROKER_FILES = FILES[1:]
"""Files that the broker reads."""
NO_TIME_CHECK = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: a wrong clock at boot must not prevent a start."""


def folder(data: Path) -> Path:
    """Return the folder of the certificates."""
    return data / "secrets/tls"


def are_present(data: Path) -> bool:
    """Return whether TLS is configured. Any file counts, so that a misspelled name never disables TLS silently."""
    try:
        return any(folder(data).iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandError(
            f"{error.filename}: {error.strerror}; run as the owner of the data folder, or as root"
        ) from error


def require_beyond_loopback(data: Path, bind: str, plaintext: str) -> None:
    """Raise CommandError if others could read passwords on the network: `plaintext` must repeat the address `bind`."""
    if bind == "localhost" or are_present(data) or plaintext == bind:
        return
    with suppress(ValueError):
        if ip_address(bind).is_loopback:
            return
    raise CommandError(
        f"WVR_BIND={bind} opens the broker to the network, and {folder(data)} holds no certificates: passwords would "
        f"be readable there. Install certificates (docs/how-to/access.md), or set WVR_BIND_PLAINTEXT={bind} too"
    )


def validate(data: Path) -> str:
    """Return the end of validity of the broker's certificate as text. Raises CommandError with file and reason."""
    authority, certificate, key = (_readable(folder(data) / name) for name in FILES)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _client_context(certificate)
    try:
        server.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        reason = "does not match server.crt" if error.reason == "KEY_VALUES_MISMATCH" else "holds no key in PEM"
        protected = b"ENCRYPTED" in key.read_bytes()
        raise CommandError(
            f"{key}: {'has a passphrase; WVR needs a key without one' if protected else reason}"
        ) from error
    try:
        return _valid_until(_client_context(authority), server)
    except ssl.SSLCertVerificationError as error:
        raise CommandError(f"{authority}: did not sign {certificate}: {error.verify_message}") from error


def _readable(path: Path) -> Path:
    try:
        path.read_bytes()
    except OSError as error:
        required = ", ".join(FILES)
        raise CommandError(f"{path}: {error.strerror}; TLS needs the files {required} in {path.parent}") from error
    return path


def _client_context(authority: Path) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= NO_TIME_CHECK
    try:
        client.load_verify_locations(authority)
    except ssl.SSLError as error:
        raise CommandError(f"{authority}: holds no certificate in PEM") from error
    return client


def _valid_until(client: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """Perform a handshake in memory and return the end of validity of the accepted certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client_side, server_side, client_side):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return str((client_side.getpeercert() or {})["notAfter"])
