"""A templated HTTP request: for AlimTalk, NAVER Works, SMS gateways and others that apprise lacks."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from email.message import Message
from typing import IO

from services.notifier.secret_files import SecretFiles
from services.notifier.sending import SendError
from services.notifier.state import Outgoing
from shared.domain.message_template import FIELDS, escape_header, escape_of, escape_url, fill
from shared.settings.notify import Notify

TIMEOUT_SECONDS = 15.0
MAX_ANSWER_BYTES = 300
"""Start of an answer that a failure shows."""
KEY_HEADER = "Idempotency-Key"
"""Header with the key of the message: a receiver may drop a repeated one."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: they would carry secrets to another host."""

    def redirect_request(
        self,
        req: urllib.request.Request,  # noqa: ARG002
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> None:
        return None


class Webhook:
    """Sends each message as one request."""

    def __init__(self, name: str, table: Notify, secrets: SecretFiles, timeout: float = TIMEOUT_SECONDS) -> None:
        self._name, self._table, self._secrets, self._timeout = name, table, secrets, timeout

    def send(self, message: Outgoing) -> None:
        """Send a message. Raises SendError with the HTTP status, or the reason of the connection."""
        try:
            self._send(message)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SendError(self._secrets.mask(_reason(error))) from None

    def _send(self, message: Outgoing) -> None:
        table, values = self._table, values_of(message)
        url = self._secrets.url(table.url or self._name)
        if not url.startswith(("http://", "https://")):
            raise ValueError("the address does not begin with http:// or https://")
        content_type = table.content_type
        headers = {key: fill(value, values, self._secrets.read, escape_header) for key, value in table.headers.items()}
        body = fill(table.body, values, self._secrets.read, escape_of(content_type)).encode()
        request = urllib.request.Request(
            fill(url, values, self._secrets.read, escape_url),
            data=None if table.method == "GET" else body,
            headers={"Content-Type": content_type, **headers, KEY_HEADER: message.key, "User-Agent": "WVR"},
            method=table.method,
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=self._timeout) as answer:
            answer.read(MAX_ANSWER_BYTES)


def values_of(message: Outgoing) -> dict[str, str]:
    """Return the fields of a message by their names in a template."""
    return {field: getattr(message, field) for field in FIELDS if field != "at"} | {"at": message.at.isoformat()}


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        with error:
            answer = error.read(MAX_ANSWER_BYTES).decode("utf-8", "replace")
        return f"HTTP {error.code} {error.reason}: {' '.join(answer.split())}".rstrip(": ")
    if isinstance(error, urllib.error.URLError):
        return f"no connection: {error.reason}"
    return f"{type(error).__name__}: {error}"
