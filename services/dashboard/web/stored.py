"""What the views of stored data share: the database of a request, its sensor, the present, a span of the address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.queries.database import Database
from services.dashboard.queries.site_time import MINUTE, epoch_of_wall
from services.dashboard.web.page import Page

READERS = CapacityLimiter(2)
"""Requests that read at the same time; the others wait. More threads would take more memory, and not be faster."""


@dataclass(frozen=True)
class StoredPage:
    """A request for stored data of one sensor."""

    page: Page
    database: Database
    sensors: list[str]
    """Sensors with readings, by name."""
    sensor: str
    """The one of the address, else the first; empty without any."""
    present: int
    """End of the site's newest minute, epoch seconds: charts end there, whatever this machine's clock says."""

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the address."""
        return self.page.request.query_params.get(name, default)

    def time(self, at: int) -> datetime:
        """Return epoch seconds as a time of the site."""
        return datetime.fromtimestamp(at, self.database.zone)

    def asked_day(self, name: str, default: date) -> date:
        """Return a date of the address, or the default where there is none or no valid one."""
        try:
            epoch_of_wall(self.asked(name), self.database.zone)
            return date.fromisoformat(self.asked(name)[:10])
        except ValueError:
            return default


def stored_endpoint(respond: Callable[[StoredPage], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that reads the database in a thread. It may raise Unavailable."""

    def read(page: Page) -> Response:
        with database_of(page).opened() as database:
            return respond(_stored_page(page, database))

    async def endpoint(request: Request) -> Response:
        return await to_thread.run_sync(read, Page.of(request), limiter=READERS)

    return endpoint


def database_of(page: Page) -> Database:
    """Return the stored rows of the site, for one request."""
    settings = page.settings
    return Database(settings.database, settings.zone, settings.site.name, settings.value_ranges)


def _stored_page(page: Page, database: Database) -> StoredPage:
    sensors = database.sensors()
    asked = page.request.query_params.get("sensor", "")
    sensor = asked if asked in sensors else next(iter(sensors), "")
    return StoredPage(page, database, sensors, sensor, _present(page, database, sensor))


def _present(page: Page, database: Database, sensor: str) -> int:
    """Return the end of the newest minute of the site; this machine's time before the first one."""
    newest = database.newest_minute(sensor) if sensor else None
    minutes = [int(page.live.tick.at.timestamp())] if page.live.tick else []
    minutes += [newest] if newest is not None else []
    return max(minutes) + MINUTE if minutes else int(page.now.timestamp())
