"""The views of the dashboard: every module of this folder is one.

A view NAME is one file `views/NAME.py` with:

- `ROUTES`: Starlette routes. An endpoint takes a `Request`. Reads that wait (SQL) belong into a plain `def` endpoint,
  which runs in a thread; an endpoint that sends a command is `async def`.
- `FRAGMENTS`: parts that events replace (`services.dashboard.events.Fragment`); `()` for none.

and its template `templates/NAME.html` (`{% extends "base.html" %}`, blocks `title` and `main`), the templates
`templates/_x.html` of its fragments, and its catalogues `texts/en/NAME.toml` and `texts/ko/NAME.toml`, whose keys and
placeholders are equal (a test checks that). `NAME.menu` is its word in the menu, `NAME.title` its title.

    def show(request: Request) -> Response:
        page = Page.of(request)                        # language, user, live state, settings
        return page.response("nights.html", view="nights", rows=…)

`view=` says which menu item is current and which events the page receives. Templates may use `t("nights.title", n=3)`,
`local(message.text)`, `number(value, digits)`, `reading(value, channel)`, `units[channel]`, `day_and_time(at)`,
`clock_time(at)`, `day(at)`, `asset("name.js")`, `page.may_change`, `page.link(sensor="001")`, `live`, `settings`.

Live part: `<div sse-swap="now-incidents">{{ incidents }}</div>` in the template, and the same render function in
`FRAGMENTS` and in the endpoint (`page.render` returns markup that is not escaped again). A fragment with
`per_sensor=True` has its place at `sse-swap="now-sensor:001"`.

Command: `<form hx-post="/health/train" hx-target="#outcome"><button data-control …>`; the endpoint returns
`page.outcome(await page.backend.operator.send("train", page.user_name, …))`. The guard in `web/app.py` has checked
Origin and role: every method except GET and HEAD needs an operator. `data-control` switches the button off while the
connection or the broker is away.

Chart: `<div class="chart" data-chart="/api/nights?sensor=001" role="img" aria-label="…"></div>`; the address returns
`web/chart_data.Chart.response()`. `static/charts.js` draws it; no view needs a script of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from starlette.routing import BaseRoute

from services.dashboard.events import Fragment

MENU = ("now", "history", "nights", "incidents", "ahead", "report", "health")
"""Views in the order of the menu."""


class View(Protocol):
    """A module of this folder."""

    ROUTES: Sequence[BaseRoute]
    FRAGMENTS: Sequence[Fragment]


VIEWS: dict[str, View] = {
    module.name: cast(View, import_module(f"{__name__}.{module.name}")) for module in iter_modules(__path__)
}
"""View by name."""
NAVIGATION = tuple(name for name in MENU if name in VIEWS)
