"""Results of the checks of `./wvr doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    state: Literal["ok", "note", "wrong"]
    what: str
    """Observation in plain words."""
    advice: str = ""
    """What to do; empty if there is nothing to do."""


def ok(what: str) -> Finding:
    return Finding("ok", what)


def note(what: str, advice: str) -> Finding:
    """Return a finding that is worth knowing, but not wrong."""
    return Finding("note", what, advice)


def wrong(what: str, advice: str) -> Finding:
    return Finding("wrong", what, advice)


def format_duration(seconds: float) -> str:
    """Return a duration in words."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
