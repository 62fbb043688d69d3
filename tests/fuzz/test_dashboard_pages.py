"""Pages and fragments of the dashboard after any valid messages: each is made, and no text of a message is markup."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.fuzz.message_generator import message
from services.dashboard.live_state import LiveState
from services.dashboard.views import VIEWS
from services.dashboard.web.frame import FRAME_FRAGMENTS
from shared.contract.messages import Message
from shared.contract.texts import technical
from tests.fuzz.test_extreme_messages import HypothesisDraw, extreme_messages
from tests.unit.services.dashboard.fakes import FakeSite

KINDS = tuple(LiveState.HANDLERS)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
LIVE_PATHS = ("/", "/wall", "/health")


def show_everything(site: FakeSite) -> None:
    """Make all live pages and all fragments."""
    browser = site.browser()
    for path in LIVE_PATHS:
        assert browser.get(path).status_code == 200, path
    page = site.page()
    names = [sensor.name for sensor in site.live.sensors]
    for fragment in {fragment.event: fragment for view in VIEWS.values() for fragment in view.FRAGMENTS}.values():
        for name in names if fragment.per_sensor else [""]:
            fragment.render(page, name)
    for fragment in FRAME_FRAGMENTS:
        fragment.render(page, "")
    for name in names:
        assert browser.get("/api/now", params={"sensor": name}).status_code == 200


def test_pages_after_extreme_messages(tmp_path: Path) -> None:
    site = FakeSite(tmp_path)
    for item in extreme_messages():
        if isinstance(item, KINDS):
            site.live.apply(item)
            show_everything(site)


def test_pages_after_any_messages(tmp_path: Path) -> None:
    number = count()

    @given(st.data())
    @settings(max_examples=8, phases=[Phase.generate], suppress_health_check=SLOW)
    def show_after(data: st.DataObject) -> None:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        site = FakeSite(folder)
        for _ in range(data.draw(st.integers(1, 6))):
            site.live.apply(message(HypothesisDraw(data), KINDS))
        show_everything(site)

    show_after()


def test_texts_of_messages_are_escaped(tmp_path: Path) -> None:
    site = FakeSite(tmp_path)
    hostile: list[Message] = [item for item in extreme_messages() if isinstance(item, KINDS)]
    for item in hostile:
        site.live.apply(item)
    for anomaly in site.live.open_anomalies:
        object.__setattr__(anomaly, "text", technical("<script>alert(1)</script>"))
    page = site.browser().get("/").text
    assert site.live.open_anomalies
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
