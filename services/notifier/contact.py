"""A contact: who is notified, from which severity on, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.settings.notify import Notify

Severity = Literal["info", "warning", "critical"]
Language = Literal["ko", "en"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the least to the most urgent."""


def worst(severities: list[Severity]) -> Severity:
    """Return the most urgent severity; `info` of none."""
    return max(severities, key=SEVERITIES.index, default="info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What the rules need of a `[notify.NAME]` table."""

    name: str
    severity: Severity = "warning"
    language: Language = "ko"
    quiet: tuple[int, int] | None = None
    """Start and end of the quiet hours, minutes of the day; the end may be on the next day."""
    after: timedelta = timedelta(0)
    """Time without an acknowledgement after which this contact is notified; zero: at once."""
    daily: int | None = 9 * 60
    """Minute of the day of the daily message; None without one."""

    def accepts(self, severity: Severity) -> bool:
        """Whether an incident of this severity concerns the contact. Information never does."""
        return severity != "info" and SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)

    def may_be_disturbed(self, severity: Severity, now: datetime) -> bool:
        """Whether a message of this severity may be sent now: a critical one always, others outside quiet hours."""
        if severity == "critical" or self.quiet is None:
            return True
        start, end = self.quiet
        minute = minute_of_day(now)
        is_quiet = start <= minute < end if start <= end else minute >= start or minute < end
        return not is_quiet


def contacts_of(tables: Mapping[str, Notify]) -> list[Contact]:
    """Return the contacts of the settings, those that are notified first before the others."""
    contacts = [
        Contact(
            name=name,
            severity=table.severity,
            language=table.language,
            quiet=_span(table.quiet),
            after=timedelta(minutes=table.after or 0),
            daily=_minute(table.daily),
        )
        for name, table in tables.items()
    ]
    return sorted(contacts, key=lambda contact: contact.after)


def minute_of_day(at: datetime) -> int:
    """Return the minute of the local day."""
    return at.hour * 60 + at.minute


def _span(text: str) -> tuple[int, int] | None:
    start, _, end = text.partition("-")
    first, last = _minute(start), _minute(end)
    return None if first is None or last is None else (first, last)


def _minute(text: str) -> int | None:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes) if minutes else None
