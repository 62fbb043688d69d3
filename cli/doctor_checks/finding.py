"""What a check of `./wvr doctor` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: Literal["ok", "note", "wrong"]
    what: str
    """In plain words."""
    advice: str = ""
    """What to do; empty when nothing is to be done."""


def ok(what: str) -> Finding:
    return Finding("ok", what)


def note(what: str, advice: str) -> Finding:
    """Worth knowing, and not yet wrong."""
    return Finding("note", what, advice)


def wrong(what: str, advice: str) -> Finding:
    return Finding("wrong", what, advice)


def format_duration(seconds: float) -> str:
    """A duration in words."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
