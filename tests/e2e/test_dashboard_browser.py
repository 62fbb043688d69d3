"""The dashboard in a real Chromium, with a real broker."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from services.dashboard.views import NAVIGATION
from services.dashboard.web.access import PASSWORDS_FILE, hash_password
from services.dashboard.web.texts import Language
from tests.e2e.browser import DESKTOP, PHONE, axe_source, chromium, opened, screenshot_folder
from tests.e2e.dashboard_site import DashboardSite, burst, dashboard_site, site_messages, this_minute, verdict
from tests.polling import wait_for

VIEWS = {name: "/" if name == "now" else f"/{name}" for name in (*NAVIGATION, "wall")}
COMBINATIONS = list(itertools.product(("en", "ko"), ("light", "dark"), (DESKTOP, PHONE)))
OPERATOR, VIEWER = "correct horse battery", "only looking around"
MAX_MEMORY_MB, MAX_GROWTH_MB, BROWSERS = 100, 10, 10


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    return axe_source(tmp_path_factory.mktemp("axe"))


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return screenshot_folder(tmp_path_factory.mktemp("screenshots"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardSite]:
    """A dashboard of a site with a burst, a slow sensor and a training."""
    with dashboard_site(tmp_path_factory.mktemp("dashboard"), has_history=True) as site:
        site.publish(*site_messages(this_minute()))
        yield site


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[DashboardSite]:
    """A dashboard before the first message."""
    with dashboard_site(tmp_path) as site:
        yield site


@pytest.mark.parametrize(("language", "theme", "size"), COMBINATIONS)
def test_every_view_is_clean(
    site: DashboardSite,
    browser: Browser,
    axe: str,
    screenshots: Path,
    language: Language,
    theme: str,
    size: tuple[int, int],
) -> None:
    """No console error, no request to outside, no untranslated text, nothing serious for axe, nothing to scroll to."""
    problems = []
    with opened(browser, site.url, size) as watched:
        for name, path in VIEWS.items():
            watched.visit(f"{path}?lang={language}&theme={theme}")
            watched.page.screenshot(path=screenshots / f"{name}-{language}-{theme}-{size[0]}.png", full_page=True)
            here = [*watched.untranslated(language), *watched.accessibility_problems(axe)]
            if watched.page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
                here.append("the page is wider than the screen")
            problems += [f"{name}: {problem}" for problem in [*here, *watched.problems]]
            watched.problems.clear()
    assert problems == []


def test_first_minutes(new_site: DashboardSite, browser: Browser) -> None:
    """An empty site says so, and shows the first sensor without a reload by hand."""
    with opened(browser, new_site.url) as watched:
        watched.visit("/?lang=en")
        expect(watched.page.get_by_role("heading", name="No reading yet")).to_be_visible()
        expect(watched.page.get_by_text("No open incident.")).to_be_visible()
        new_site.publish(verdict("001", this_minute()))
        expect(watched.page.get_by_role("heading", name="001")).to_be_visible()
        assert watched.problems == []


def test_value_and_curve_move_within_a_second(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        watched.visit("/?lang=en")
        digits = watched.page.locator("section[aria-label='001'] .digits").first
        chart = "[...WVR.charts].find(([element]) => element.dataset.chart.endsWith('=001'))[1].data"
        delays = []
        for number in range(5):
            message = verdict("001", this_minute() + timedelta(minutes=number + 1), 20.0 + number)
            started = time.monotonic()
            site.publish(message)
            expect(digits).to_have_text(f"{message.reading.flow_rate:.1f}", timeout=5000)
            watched.page.wait_for_function(
                f"value => {chart}.panels[0].series.at(-1).data.at(-1)[1] === value", arg=message.reading.flow_rate
            )
            delays.append(time.monotonic() - started)
        assert max(delays) < 1.0


def test_incident_opens_changes_and_clears(site: DashboardSite, browser: Browser) -> None:
    opened_burst = replace(burst(this_minute()), id="001-flow_rate-burst-2", lost_m3=4321.0)
    with opened(browser, site.url) as watched:
        watched.visit("/?lang=en")
        incidents = watched.page.locator(".incident")
        before = incidents.count()
        site.publish(opened_burst)
        expect(incidents).to_have_count(before + 1)
        expect(watched.page.get_by_text("4,321 m³")).to_be_visible()
        site.publish(replace(opened_burst, state="updated", acknowledged=True, by="Kim"))
        expect(watched.page.get_by_text("acknowledged · Kim")).to_be_visible()
        site.publish(replace(opened_burst, state="cleared", cleared_at=this_minute()))
        expect(incidents).to_have_count(before)


def test_command_is_answered_or_not(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        watched.visit("/health?lang=en")
        watched.page.get_by_role("button", name="Train now").click()
        expect(watched.page.get_by_text("The command was carried out")).to_be_visible()
        assert site.commands[-1].name == "train"
        site.answers = False
        try:
            started = time.monotonic()
            watched.page.get_by_role("button", name="Train now").click()
            expect(watched.page.get_by_text("No answer within 2 seconds")).to_be_visible()
            assert time.monotonic() - started < 3.0
        finally:
            site.answers = True
        assert '"who": "local"' in site.log()
        assert watched.problems == []


def test_broker_goes_and_comes_back(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        watched.visit("/health?lang=en")
        button = watched.page.get_by_role("button", name="Train now")
        button.click()
        expect(watched.page.get_by_text("The command was carried out")).to_be_visible()
        count = len(site.commands)
        site.broker.kill()
        expect(watched.page.get_by_text("The broker does not answer")).to_be_visible(timeout=15_000)
        expect(button).to_be_disabled()
        site.broker.start()
        wait_for(site.is_connected, what="the feeding client is connected")
        site.publish(*site_messages(this_minute()))
        expect(watched.page.get_by_text("The broker does not answer")).to_have_count(0, timeout=20_000)
        expect(button).to_be_enabled()
        button.click()
        wait_for(lambda: len(site.commands) > count, what="the second command")
        assert len(site.commands) == count + 1, "the first command was sent again"
        assert watched.problems == []


def test_dashboard_goes_and_comes_back_with_another_version(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        watched.visit("/health?lang=en")
        watched.page.evaluate("() => { document.body.dataset.version = '0.1.0'; }")
        site.stop()
        offline = watched.page.locator("#offline")
        expect(offline).to_be_visible(timeout=15_000)
        expect(watched.page.get_by_role("button", name="Train now")).to_be_disabled()
        site.start()
        expect(offline).to_be_hidden(timeout=15_000)
        expect(watched.page.get_by_text("WVR was updated.")).to_be_visible()
        expect(watched.page.get_by_role("row", name="detector")).to_be_visible()


def test_times_are_those_of_the_site(site: DashboardSite, browser: Browser) -> None:
    """The browser is in New York, the site in Korea."""
    now = this_minute()
    site.publish(verdict("002", now))
    with opened(browser, site.url) as watched:
        watched.visit("/?lang=en")
        expect(watched.page.locator("section[aria-label='002'] .age .numbers")).to_have_text(f"{now:%H:%M}")
        start, uses_utc = watched.page.evaluate(
            "() => { const { chart, data } = WVR.charts.values().next().value;"
            " return [new Date(data.start).toISOString(), chart.getOption().useUTC]; }"
        )
        assert start.startswith(f"{now:%Y-%m-%d}T00:00:00")
        assert uses_utc


def test_wall_digits_are_large(site: DashboardSite, browser: Browser) -> None:
    for size in (DESKTOP, PHONE):
        with opened(browser, site.url, size) as watched:
            watched.visit("/wall")
            digits = watched.page.locator(".digits").first
            assert digits.evaluate("element => parseFloat(getComputedStyle(element).fontSize)") >= 96


def test_wrong_passwords_and_forged_commands(new_site: DashboardSite, browser: Browser) -> None:
    passwords = {"operator": hash_password(OPERATOR), "viewer": hash_password(VIEWER)}
    (new_site.secrets / PASSWORDS_FILE).write_text(json.dumps(passwords), encoding="ascii")
    with opened(browser, new_site.url) as watched:
        watched.visit("/health?lang=en")
        assert watched.page.url.endswith("/login")
        watched.page.get_by_label("Your name").fill("Lee")
        watched.page.get_by_label("Password").fill(VIEWER)
        watched.page.get_by_role("button", name="Log in").click()
        expect(watched.page.get_by_role("heading", name="Open incidents")).to_be_visible()
        watched.visit("/health?lang=en")
        expect(watched.page.get_by_role("button", name="Train now")).to_have_count(0)
        for origin in (new_site.url, "http://evil.example"):
            forged = watched.page.request.post(f"{new_site.url}/health/train", headers={"origin": origin})
            assert forged.status == 403
        assert new_site.commands == []
        watched.page.get_by_role("button", name="Log out").click()
        for _ in range(4):
            watched.page.get_by_label("Password").fill("wrong password")
            watched.page.get_by_role("button", name="Log in").click()
            expect(watched.page.get_by_text("The password is wrong.")).to_be_visible()
        watched.page.get_by_label("Password").fill(OPERATOR)
        watched.page.get_by_role("button", name="Log in").click()
        expect(watched.page.get_by_text("Too many attempts.")).to_be_visible()
    assert VIEWER not in new_site.log()
    assert "wrong password" in new_site.log()


def test_memory_stays_small_with_ten_browsers(site: DashboardSite) -> None:
    """Ten connected pages; their streams are closed without a word, as a browser does."""
    before = site.memory_mb()
    with ExitStack() as streams:
        for number in range(BROWSERS):
            view = list(VIEWS)[number % len(VIEWS)]
            urllib.request.urlopen(f"{site.url}{VIEWS[view]}", timeout=5).read()
            stream = streams.enter_context(urllib.request.urlopen(f"{site.url}/events?view={view}", timeout=5))
            assert b"retry" in stream.readline()
        for number in range(30):
            site.publish(verdict("001", this_minute() + timedelta(minutes=number), 1.0))
        assert site.memory_mb() <= MAX_MEMORY_MB
    wait_for(lambda: site.memory_mb() <= before + MAX_GROWTH_MB, what="the memory is back")
