"""Server-sent events: tells every open page which messages have changed the state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.contract.messages import Message

QUIET_SECONDS = 4.0
"""Without a change for so long, a page receives `alive`, which shows it that the connection works."""
PAUSE_SECONDS = 0.2
"""Shortest time between two updates of a page: changes in a backlog are shown together."""


class Change(NamedTuple):
    """A message that has changed the state."""

    kind: type[Message] | None
    """None: the connection to the broker."""
    sensor: str


class Fragment(NamedTuple):
    """A part of a page that an event replaces.

    The page marks its place with `sse-swap="EVENT"`, or `sse-swap="EVENT:SENSOR"` with `per_sensor`. It depends on the
    state, the language and the user, not on the address: pages that show the same share it.
    """

    event: str
    on: Sequence[type[Message] | None]
    """Kinds of messages that change it; None: the connection to the broker."""
    render: Callable[[Any, str], str]
    """(Page, sensor) to HTML, or to JSON for a script; the sensor is empty without `per_sensor`."""
    per_sensor: bool = False
    on_open: bool = True
    """Whether it is also sent when a page connects, which repairs what the page has missed."""


@dataclass(eq=False)
class OpenPage:
    """One connected page: the changes that it has not received."""

    changes: set[Change] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class EventHub:
    """Connected pages. `announce` may be called from any thread, all else from the web thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pages: set[OpenPage] = set()
        self._is_closed = False
        self.rendered: dict[Hashable, str] = {}
        """Fragments that pages have rendered since the newest change."""

    @property
    def open_pages(self) -> int:
        """Return the number of connected pages."""
        return len(self._pages)

    def attach(self) -> None:
        """Deliver to the running event loop from now on."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End the streams of all pages."""
        self._is_closed = True
        self.call(self._wake_all)

    def announce(self, message: Message) -> None:
        """Tell all pages that a message has changed the state."""
        change = Change(type(message), getattr(message, "sensor", ""))
        self.call(lambda: self._add(change))

    def announce_connection(self) -> None:
        """Tell all pages that the broker was connected or lost."""
        self.call(lambda: self._add(Change(None, "")))

    async def changes(self) -> AsyncIterator[set[Change]]:
        """Yield the changes for one page, an empty set after QUIET_SECONDS without any; end at `close`."""
        page = OpenPage()
        self._pages.add(page)
        try:
            while not self._is_closed:
                try:
                    async with asyncio.timeout(QUIET_SECONDS):
                        await page.wake.wait()
                except TimeoutError:
                    yield set()
                    continue
                page.wake.clear()
                changes, page.changes = page.changes, set()
                yield changes
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._pages.discard(page)

    def call(self, callback: Callable[[], None]) -> None:
        """Run a callback in the web thread soon; do nothing before it has started."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _add(self, change: Change) -> None:
        self.rendered.clear()
        for page in self._pages:
            page.changes.add(change)
            page.wake.set()

    def _wake_all(self) -> None:
        for page in self._pages:
            page.wake.set()


def event(name: str, data: str) -> str:
    """Return a server-sent event on the wire."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"
