"""An incident of a complete local site, from its opening to its end, by hand in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import chromium, opened
from tests.e2e.fed_site import SITE_TOML, FedSite, local_fed_site, minute

RANGE = "[sensors.001]\nflow_rate = { min = 0, max = 100 }\n"
IMPOSSIBLE_M3H, IMPOSSIBLE_MINUTES = 500.0, 20


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FedSite]:
    """A local site that follows a file, with an hour stored."""
    with local_fed_site(tmp_path_factory.mktemp("fed"), 60, SITE_TOML + RANGE) as fed:
        yield fed


def feed_impossible_values(fed: FedSite) -> None:
    """Append values that the meter can't show."""
    numbers = range(fed.minute_count, fed.minute_count + IMPOSSIBLE_MINUTES)
    with (fed.site.data / "sensor/live.csv").open("a", encoding="ascii") as file:
        file.writelines(f"{minute(number):%Y-%m-%d %H:%M},001,{IMPOSSIBLE_M3H},4.0\n" for number in numbers)
    fed.minute_count += IMPOSSIBLE_MINUTES


def test_an_operator_acknowledges_and_closes_an_incident(fed: FedSite) -> None:
    with chromium() as browser, opened(browser, f"http://localhost:{fed.site.dashboard_port}") as watched:
        page = watched.page
        watched.visit("/?lang=en")
        expect(page.get_by_text("No open incident.")).to_be_visible()
        feed_impossible_values(fed)
        page.get_by_role("link", name="Out of range").click(timeout=60_000)
        acknowledge, close = page.locator("form.entry").nth(0), page.locator("form.entry").nth(1)
        acknowledge.get_by_label("Note").fill("on the way")
        acknowledge.get_by_label("Name").fill("Kim")
        acknowledge.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#incident-detail").get_by_text("on the way")).to_be_visible(timeout=20_000)
        close.get_by_label("Cause").select_option("meter")
        close.get_by_label("Name").fill("Lee")
        close.get_by_role("button", name="Close").click()
        expect(page.locator("#incident-detail .tag").get_by_text("closed", exact=True)).to_be_visible(timeout=20_000)
        assert watched.problems == []
    states = fed.rows("SELECT operator, note, confirmed_cause, closed FROM ANOMALY_STATE_TB ORDER BY at")
    assert [state for state in states if state[0]] == [
        ("Kim", "on the way", None, 0),
        ("Lee", "on the way", "meter", 1),
    ]
    listed = fed.site.wvr("alarms")
    assert "closed" in listed.stdout
    assert "meter" in listed.stdout
