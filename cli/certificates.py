"""The broker's certificates, given by the operator in data/secrets/tls/, in PEM. Standard library only."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

from cli.bootstrap import CommandError

FILES = ("ca.crt", "server.crt", "server.key")
"""Who vouches for the broker, the broker's own certificate (with those between), its key without a passphrase."""
BROKER_FILES = FILES[1:]
"""What the broker itself needs."""
NO_TIME_CHECK = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: a wrong clock at boot must not keep a site from starting."""


def folder(data: Path) -> Path:
    """Where the operator puts them."""
    return data / "secrets/tls"


def are_present(data: Path) -> bool:
    """Whether TLS is wanted: any file there says so, since a misnamed one must not end in a broker without TLS."""
    try:
        return any(folder(data).iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandError(
            f"{error.filename}: {error.strerror}; run as the owner of the data folder, or as root"
        ) from error


def validate(data: Path) -> str:
    """When the broker's certificate ends, in words. Raises Missing with the file that can't be used, and why."""
    authority, certificate, key = (_readable(folder(data) / name) for name in FILES)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _client_context(certificate)
    try:
        server.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        why = "is not the key of server.crt" if error.reason == "KEY_VALUES_MISMATCH" else "holds no key in PEM"
        protected = b"ENCRYPTED" in key.read_bytes()
        raise CommandError(f"{key}: {'has a passphrase, which nobody could give' if protected else why}") from error
    try:
        return _valid_until(_client_context(authority), server)
    except ssl.SSLCertVerificationError as error:
        raise CommandError(f"{authority}: does not vouch for {certificate}: {error.verify_message}") from error


def _readable(path: Path) -> Path:
    try:
        path.read_bytes()
    except OSError as error:
        needed = ", ".join(FILES)
        raise CommandError(f"{path}: {error.strerror}; for TLS the broker needs {needed} in {path.parent}") from error
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
    """Lets both shake hands in memory; the end of the certificate that the client has accepted."""
    said, answered = ssl.MemoryBIO(), ssl.MemoryBIO()
    there = client.wrap_bio(answered, said)
    here = server.wrap_bio(said, answered, server_side=True)
    for side in (there, here, there):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return str((there.getpeercert() or {})["notAfter"])
