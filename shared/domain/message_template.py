"""Templates of webhooks: `{title}` stands for a field of the message, `{secret:NAME}` for the content of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, quote_plus

FIELDS = ("title", "text", "site", "sensor", "severity", "state", "key", "at", "contact")
"""Fields of a message that a template may name."""
SECRET_NAME = r"[A-Za-z0-9_.-]{1,64}"
_PLACEHOLDER = re.compile(r"\{(?:(\w+)|secret:(" + SECRET_NAME + r"))\}")
"""A brace of JSON is followed by a quotation mark, so it is none."""

Escape = Callable[[str], str]


def escape_json(text: str) -> str:
    """Return a text as it stands between the quotation marks of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def escape_header(text: str) -> str:
    """Return a text as the value of an HTTP header: no line ends, other than Latin-1 percent-encoded."""
    line = " ".join(text.split())
    return line if line.isascii() else quote(line, safe=" ")


def escape_url(text: str) -> str:
    """Return a text as a part of a URL."""
    return quote(text, safe="")


def escape_of(content_type: str) -> Escape:
    """Return how values are escaped in a body of this content type."""
    if "json" in content_type:
        return escape_json
    return quote_plus if "x-www-form-urlencoded" in content_type else str


def fill(template: str, values: Mapping[str, str], secret: Callable[[str], str], escape: Escape) -> str:
    """Return a template with fields and secrets filled in, once: a value is never a template itself."""

    def value_of(match: re.Match[str]) -> str:
        field, name = match.groups()
        return escape(values[field] if field else secret(name))

    return _PLACEHOLDER.sub(value_of, template)


def unknown_fields(template: str) -> Iterator[str]:
    """Yield the names in braces that are no field of a message."""
    for field, _ in _PLACEHOLDER.findall(template):
        if field and field not in FIELDS:
            yield field
