"""What a view needs to answer a request: the state, the viewer's language, and rendering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from services.dashboard.events import EventHub
from services.dashboard.live_state import LiveState
from services.dashboard.operator import Operator, Outcome
from services.dashboard.web import formats
from services.dashboard.web.access import Access, User
from services.dashboard.web.assets import Assets
from services.dashboard.web.chart_data import Panel, Series
from services.dashboard.web.texts import LANGUAGES, Language, Texts, preferred_language
from shared.contract.anomaly_kinds import kind_label
from shared.contract.messages import Anomaly, Channel, LocalizedText
from shared.settings import Settings
from shared.version import VERSION

Theme = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = ("system", "light", "dark")
COOKIE_SECONDS = 365 * 86_400
"""Lifetime of the choices of language and theme."""


def make_templates() -> Environment:
    """Return the environment of the templates."""
    folder = Path(__file__).parent.parent / "templates"
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Backend:
    """What all pages share."""

    settings: Settings
    live: LiveState
    hub: EventHub
    operator: Operator
    access: Access
    assets: Assets
    texts: Texts
    templates: Environment
    started_at: datetime
    navigation: tuple[str, ...]
    """Views in the order of the menu."""


@dataclass(frozen=True)
class Page:
    """One request: who asks for which view, in which language."""

    backend: Backend
    request: Request
    user: User | None
    """None before the login."""
    language: Language
    theme: Theme

    @classmethod
    def of(cls, request: Request) -> Page:
        """Return the page of a request."""
        backend: Backend = request.app.state.backend
        asked = request.query_params.get("lang") or request.cookies.get("lang")
        language = next(
            (known for known in LANGUAGES if known == asked),
            preferred_language(request.headers.get("accept-language", "")),
        )
        chosen = request.query_params.get("theme") or request.cookies.get("theme")
        theme: Theme = next((known for known in THEMES if known == chosen), "system")
        user = backend.access.user(request.cookies.get(backend.access.cookie))
        return cls(backend, request, user, language, theme)

    @property
    def live(self) -> LiveState:
        return self.backend.live

    @property
    def settings(self) -> Settings:
        return self.backend.settings

    @property
    def may_change(self) -> bool:
        """Whether controls are on: an operator, and a broker that takes commands."""
        return bool(self.user and self.user.may_change)

    @property
    def user_name(self) -> str:
        """Return who asks, for logs and notes."""
        return (self.user.name if self.user else "") or "local"

    @property
    def now(self) -> datetime:
        """Return the time of this machine, at the site."""
        return datetime.now(self.settings.zone)

    def text(self, key: str, **values: object) -> str:
        """Return a text of the catalogues, such as "now.title"."""
        return self.backend.texts.text(self.language, key, **values)

    def localized(self, text: LocalizedText) -> str:
        """Return a text of a message in the viewer's language."""
        return text.ko if self.language == "ko" else text.en

    def kind_label(self, anomaly: Anomaly) -> str:
        """Return what an anomaly is in a word or two."""
        return self.localized(kind_label(anomaly.trigger, anomaly.kind))

    def age(self, at: datetime) -> str:
        """Return how long ago a time is; static/app.js keeps it up to date by the same rule."""
        minutes = max(0, int((self.now - at).total_seconds()) // 60)
        if minutes < 120:
            return self.text("base.age_minutes", n=minutes)
        if minutes < 48 * 60:
            return self.text("base.age_hours", n=minutes // 60)
        return self.text("base.age_days", n=minutes // 1440)

    def render(self, template: str, **values: Any) -> Markup:
        """Return a template with the values, and with what all templates may use (see `_globals`)."""
        return Markup(self.backend.templates.get_template(template).render({**self._globals, **values}))

    def response(self, template: str, *, status_code: int = 200, **values: Any) -> Response:
        """Return the response of a whole page; language and theme of the address are kept in cookies."""
        html = self.render(template, **values)
        response = HTMLResponse(html, status_code, {"cache-control": "no-store"})
        for name, value in (("lang", self.language), ("theme", self.theme)):
            if self.request.query_params.get(name) == value:
                response.set_cookie(name, value, COOKIE_SECONDS, httponly=True, samesite="strict")
        return response

    def failure(self, status_code: int, text: str) -> Response:
        """Return the response to a request that failed: a page for a browser, else the text."""
        if "text/html" in self.request.headers.get("accept", ""):
            return self.response("error.html", status_code=status_code, view="error", problem=text)
        return PlainTextResponse(text, status_code, {"cache-control": "no-store"})

    def outcome(self, outcome: Outcome) -> Response:
        """Return the response to a command: a note that htmx puts into `#outcome`."""
        return HTMLResponse(self.render("_outcome.html", outcome=outcome), headers={"cache-control": "no-store"})

    def link(self, **changes: str) -> str:
        """Return the address of this page with other parameters, such as `lang="en"`."""
        return str(self.request.url.include_query_params(**changes).replace(scheme="", netloc=""))

    @cached_property
    def units(self) -> dict[Channel, formats.Unit]:
        """Return the unit in which values of each channel are shown."""
        return formats.shown_units(self.settings.display)

    def number(self, value: float | None, digits: int = 1) -> str:
        """Return a number as the site writes it."""
        return formats.number(value, digits, self.settings.display.decimal)

    def reading(self, value: float | None, channel: Channel, extra_digits: int = 0) -> str:
        """Return a value, m³/h or bar, in the unit of its channel, without the unit's name."""
        unit = self.units[channel]
        return self.number(formats.in_unit(value, unit), unit.digits + extra_digits)

    def panel(self, channel: Channel, series: Sequence[Series]) -> Panel:
        """Return the panel of a channel, from series in m³/h or bar."""
        unit = self.units[channel]
        scaled = [item.scaled(unit.factor) for item in series]
        return Panel(self.text(f"base.channel.{channel}"), unit.name, scaled, unit.digits)

    def chart_time(self, at: datetime) -> int:
        """Return a time for a chart: epoch milliseconds of the site's wall clock."""
        return formats.chart_time(at, self.settings.zone)

    def in_language(self, language: Language) -> Page:
        """Return the same page in another language."""
        return replace(self, language=language)

    @cached_property
    def _globals(self) -> dict[str, Any]:
        zone = self.settings.zone
        dated: dict[str, Callable[..., str]] = {
            name: partial(getattr(formats, name), zone=zone) for name in ("day_and_time", "clock_time", "day")
        }
        return {
            "page": self,
            "t": self.text,
            "local": self.localized,
            "kind_label": self.kind_label,
            "asset": self.backend.assets.url,
            "live": self.live,
            "settings": self.settings,
            "version": VERSION,
            "number": self.number,
            "reading": self.reading,
            "units": self.units,
            **dated,
        }
