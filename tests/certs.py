"""Certificates of a temporary authority."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import trustme

from cli.certificates import folder


def write_certificates(data: Path, authority: trustme.CA, expires: datetime | None = None) -> None:
    """Write certificates for this machine into a site's folder, as an operator does."""
    home = folder(data)
    home.mkdir(parents=True, exist_ok=True)
    server = authority.issue_cert("localhost", "127.0.0.1", not_after=expires)
    authority.cert_pem.write_to_path(home / "ca.crt")
    server.cert_chain_pems[0].write_to_path(home / "server.crt")
    server.private_key_pem.write_to_path(home / "server.key")
