"""History in a real Chromium: zoom, pan, keys and touch fetch what is shown, and the address follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import PHONE, chromium, opened
from tests.e2e.dashboard_site import DashboardSite, dashboard_site, site_messages, this_minute

WEEK = timedelta(days=7)
DATA = "JSON.stringify(WVR.charts.get(document.getElementById('history-chart'))?.data ?? null)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardSite]:
    """A dashboard with two weeks of history."""
    with dashboard_site(tmp_path_factory.mktemp("history"), has_history=True) as site:
        site.publish(*site_messages(this_minute()))
        yield site


def shown_span(page: Page) -> tuple[datetime, datetime]:
    """Return from and to of the address."""
    query = parse_qs(urlsplit(page.url).query)
    start, end = (datetime.fromisoformat(query[name][0]) for name in ("from", "to"))
    return start, end


def expect_drawn(page: Page) -> None:
    """Wait until the chart and the part below it show the span of the address."""
    page.wait_for_function(
        f"""() => {{
            const query = new URLSearchParams(location.search), data = JSON.parse({DATA});
            const at = (name) => Date.parse(query.get(name) + "Z");
            const summary = document.getElementById("history-summary").textContent;
            return data && data.start === at("from") && data.end === at("to")
                && summary.includes(query.get("from").replace("T", " "));
        }}"""
    )


def steps(page: Page) -> list[str]:
    """Return the shapes of the flow series: bands are of buckets, a line alone is the readings themselves."""
    shapes: list[str] = page.evaluate(f"JSON.parse({DATA}).panels[0].series.map((s) => s.role + ' ' + s.shape)")
    return shapes


def test_zoom_fetches_the_minutes(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        watched.visit("/history?sensor=001&span=week&lang=en")
        page = watched.page
        assert "measured band" in steps(page)
        page.locator("#history-chart canvas").hover()
        length = WEEK
        while length > timedelta(days=3):
            address = page.url
            page.mouse.wheel(0, -500)
            page.wait_for_function("(address) => location.href !== address", arg=address)
            expect_drawn(page)
            start, end = shown_span(page)
            length = end - start
        assert "measured band" not in steps(page)
        expect(page.locator("#history-summary")).to_contain_text(f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M}")
        assert watched.problems == []


def test_keys_move_and_zoom(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        page = watched.page
        watched.visit("/history?sensor=001&span=week&lang=en")
        page.locator("#history-chart").focus()
        page.keyboard.press("+")
        page.wait_for_url(re.compile("from="))
        expect_drawn(page)
        start, end = shown_span(page)
        assert end - start == WEEK / 2
        page.keyboard.press("ArrowLeft")
        page.wait_for_function(
            "(from) => new URLSearchParams(location.search).get('from') < from", arg=start.isoformat()
        )
        expect_drawn(page)
        assert shown_span(page) == (start - WEEK / 4, end - WEEK / 4)
        page.go_back()
        expect_drawn(page)
        assert shown_span(page) == (start, end)
        assert watched.problems == []


def test_touch_pans_zooms_and_scrolls(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url, PHONE, has_touch=True, is_mobile=True) as watched:
        page = watched.page
        watched.visit("/history?sensor=001&span=week&lang=en")
        fingers = page.context.new_cdp_session(page)
        box = page.locator("#history-chart canvas").bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + 120

        def touch(kind: str, *points: tuple[float, float]) -> None:
            touches = [{"x": at[0], "y": at[1], "id": number} for number, at in enumerate(points)]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

        touch("touchStart", (x, y))
        for step in range(8):
            touch("touchMove", (x, y - 12 * step))
        touch("touchEnd")
        page.wait_for_function("() => scrollY > 20")
        assert "span=week" in page.url
        page.evaluate("scrollTo(0, 0)")
        touch("touchStart", (x, y))
        for step in range(8):
            touch("touchMove", (x + 12 * step, y))
        touch("touchEnd")
        page.wait_for_url(re.compile("from="))
        expect_drawn(page)
        start, end = shown_span(page)
        assert abs((end - start) - WEEK) < timedelta(hours=1)
        touch("touchStart", (x - 30, y), (x + 30, y))
        for step in range(8):
            touch("touchMove", (x - 30 - 8 * step, y), (x + 30 + 8 * step, y))
            if step == 3:  # the fingers rest for longer than the page waits after a movement
                address = page.url
                page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 400))")
                assert page.url == address
        touch("touchEnd")
        page.wait_for_function(
            "(from) => new URLSearchParams(location.search).get('from') > from", arg=start.isoformat()
        )
        expect_drawn(page)
        start, end = shown_span(page)
        assert end - start < timedelta(days=5)
        assert watched.problems == []


def test_an_address_opens_the_same_picture(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url, timezone_id="Pacific/Auckland") as watched:
        day = this_minute() - timedelta(days=3)
        address = f"/history?sensor=001&from={day:%Y-%m-%d}T06:00&to={day:%Y-%m-%d}T18:00&compare=day&lang=ko"
        watched.visit(address)
        expect_drawn(watched.page)
        assert steps(watched.page) == ["compare line", "measured line"]
        first = watched.page.evaluate(f"JSON.parse({DATA}).panels[0].series[1].data[0][0]")
        assert datetime.fromtimestamp(first / 1000, UTC).hour == 6
        with watched.page.expect_download() as download:
            watched.page.locator("a.download").click()
        text = download.value.path().read_text(encoding="utf-8-sig")
        assert text.splitlines()[1].startswith(f"{day:%Y-%m-%d}T06:00+09:00,001,")
        assert watched.problems == []


def test_the_report_prints_on_one_page(site: DashboardSite, browser: Browser) -> None:
    with opened(browser, site.url) as watched:
        watched.visit("/report?sensor=001&lang=ko")
        document = watched.page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", document)) == 1
        assert watched.problems == []
