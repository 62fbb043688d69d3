"""The nightly backup, and the one that an operator asks for: when it begins, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol

from shared.contract.messages import Command, Message, Progress, Response, Tick

NIGHTLY = time(2, 30)
"""Local time; a night that was missed is made up for at the next half hour."""


@dataclass(frozen=True)
class News:
    """How far a copy is."""

    at: datetime
    done: int
    of: int
    text: str
    ok: bool | None = None
    """None while it goes on."""


class Copier(Protocol):
    """Copies the database while it is being written."""

    def has(self, day: date) -> bool:
        """Whether there is a backup of a local day."""
        ...

    def begin(self, at: datetime | None) -> None:
        """Starts a copy, to be named by a local time (None: the machine's); does nothing while one is being made."""
        ...

    def news(self) -> list[News]:
        """What has come of it since it was last asked."""
        ...


class NoCopier:
    """For a replay: its folder can be made again."""

    def has(self, day: date) -> bool:  # noqa: ARG002
        return False

    def begin(self, at: datetime | None) -> None:
        pass

    def news(self) -> list[News]:
        return []


class Backup:
    """Begins backups and answers for them."""

    def __init__(self, site: str, copier: Copier) -> None:
        self._site, self._copier = site, copier
        self._askers: list[str] = []
        self._now: datetime | None = None
        self._nightly: date | None = None
        """Day of the newest nightly backup that has not failed: a wrong clock may have named a later one."""

    def minute(self, tick: Tick) -> None:
        """Begins the nightly backup when it is due. Ticks name it: of two clocks they are the better one."""
        self._now = tick.at
        due = tick.at.minute == NIGHTLY.minute and tick.at.timetz().replace(tzinfo=None) >= NIGHTLY
        day = tick.at.date()
        if due and day != self._nightly and not self._copier.has(day):
            self._nightly = day
            self._copier.begin(tick.at)

    def wanted(self, command: Command) -> None:
        """Begins one now, and answers when it is done."""
        self._askers.append(command.transaction)
        self._copier.begin(self._now)

    def news(self) -> Iterator[Message]:
        """Progress, and at the end the answers."""
        for news in self._copier.news():
            yield Progress(self._site, news.at, "backup", news.done, news.of, None, news.text)
            if news.ok is False:
                self._nightly = None
            if news.ok is not None:
                askers, self._askers = self._askers, []
                yield from (Response(self._site, "backup", one, news.ok, news.text) for one in askers)
