"""The position up to which the readings of a spool are stored."""

from __future__ import annotations

from typing import NamedTuple


class HighWaterMark(NamedTuple):
    """How far the readings of one spool are stored."""

    boot_id: str
    seq: int
    """The last reading without a gap before it."""
    at: int
    """Its minute, epoch seconds."""
    newest_seq: int
    """The newest reading that is known; more than `seq` if there is a gap."""


SiteMark = tuple[str, tuple[str, int, int, int]]
"""Site and high-water mark."""
