"""Secrets of contacts: files in data/secrets/notifier, and how they are kept out of every text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from services.notifier.sending import SendError
from shared.runtime.safe_files import read_limited

MAX_SECRET_BYTES = 10_000
MASK = "***"
MIN_SECRET_CHARACTERS = 4
"""A shorter part of a URL, such as `v1`, is no secret: masking it would hide every text."""
_PARTS = re.compile(r"[/?&=:@#;,]")


class SecretFiles:
    """Reads secrets at each use, so that a corrected file helps without a restart, and masks all that were read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secrets: set[str] = set()

    def read(self, name: str) -> str:
        """Return the content of a file. Raises SendError, which says where the secret belongs."""
        path = self._folder / name
        try:
            content = read_limited(path, MAX_SECRET_BYTES).decode("utf-8").strip()
        except FileNotFoundError:
            raise SendError(f"data/secrets/notifier/{name} is missing: write the secret into it") from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise SendError(f"data/secrets/notifier/{name} cannot be read: {reason}") from None
        if not content:
            raise SendError(f"data/secrets/notifier/{name} is empty: write the secret into it")
        self.hide(content)
        return content

    def url(self, url: str) -> str:
        """Return a URL, or that in the file which it names."""
        if "://" not in url:
            return self.read(url)
        self.hide(url)
        return url

    def hide(self, secret: str) -> None:
        """Mask a secret from now on: whole, and each part of a URL but its scheme and host."""
        self._secrets.update(_secret_parts(secret))

    def mask(self, text: str) -> str:
        """Return a text without any secret."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text


def _secret_parts(secret: str) -> Iterator[str]:
    yield secret
    if "://" not in secret:
        yield from {quote(secret, safe=""), unquote(secret)}
        return
    _, _, rest = secret.partition("://")
    host = urlsplit(secret).hostname or ""
    for part in _PARTS.split(rest):
        if len(part) >= MIN_SECRET_CHARACTERS and part.lower() != host and not part.isdecimal():
            yield part
            yield unquote(part)
            yield quote(part, safe="")
    yield rest
