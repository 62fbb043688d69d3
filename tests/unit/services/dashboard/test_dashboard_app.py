"""The web application: headers, Origin, roles, sizes, failures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from services.dashboard.views import VIEWS, health
from services.dashboard.views.now import newest_minutes
from services.dashboard.web.access import PASSWORDS_FILE, hash_password
from services.dashboard.web.app import SECURITY_HEADERS
from services.dashboard.web.chart_data import Series
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.settings import Settings
from shared.settings.sections import Display
from tests.unit.factories import verdict
from tests.unit.services.dashboard.fakes import FakeSite

LINE = Series("flow", "measured", [[0, 3.6], [60_000, None]])
OPERATOR, VIEWER = "correct horse battery", "only looking around"
MAX_SHIPPED_BYTES = 400_000


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    return FakeSite(tmp_path)


@pytest.fixture
def locked_site(site: FakeSite) -> FakeSite:
    """A dashboard with a password for each role."""
    passwords = {"operator": hash_password(OPERATOR), "viewer": hash_password(VIEWER)}
    (site.folder / PASSWORDS_FILE).write_text(json.dumps(passwords), encoding="ascii")
    return site


def logged_in(site: FakeSite, password: str) -> TestClient:
    """Return a client with a session."""
    client = site.browser()
    response = client.post("/login", data={"name": "Kim", "password": password})
    assert response.status_code == 303
    assert "httponly" in response.headers["set-cookie"].lower()
    assert "samesite=strict" in response.headers["set-cookie"].lower()
    return client


def test_every_response_has_the_security_headers(locked_site: FakeSite) -> None:
    client = logged_in(locked_site, VIEWER)
    for path in ("/", "/login", "/missing", "/alive", "/static/x/dashboard.css", "/static/x/missing.js"):
        assert SECURITY_HEADERS.items() <= dict(client.get(path).headers).items(), path
    refused = locked_site.browser().get("/")
    assert (refused.status_code, refused.headers["location"]) == (303, "/login")
    assert SECURITY_HEADERS.items() <= dict(refused.headers).items()
    assert "unsafe" not in SECURITY_HEADERS["content-security-policy"]


def test_pages_hold_no_inline_script_or_style(site: FakeSite) -> None:
    site.live.apply(verdict(0))
    for path in ("/", "/wall", "/health", "/missing"):
        page = site.browser().get(path).text
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert page.count("<script") == page.count('<script src="/static/')
        assert "http://" not in page.replace("http://www.w3.org", "")
        assert "https://" not in page


def test_files_of_the_browser_are_compressed_and_small(site: FakeSite) -> None:
    assert site.backend.assets.compressed_bytes < MAX_SHIPPED_BYTES
    response = site.browser().get(site.backend.assets.url("htmx.min.js"), headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert "immutable" in response.headers["cache-control"]
    plain = site.browser().get(site.backend.assets.url("htmx.min.js"), headers={"accept-encoding": "identity"})
    assert plain.text == response.text


def test_own_javascript_is_short() -> None:
    folder = Path(health.__file__).parent.parent / "static"
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in folder.glob("*.js")) <= 400


def test_command_from_another_origin_is_refused(site: FakeSite) -> None:
    for origin in ("http://evil.example", "null", "", "https://localhost:8081"):
        assert site.browser().post("/health/train", headers={"origin": origin}).status_code == 403
    client = site.browser()
    del client.headers["origin"]
    assert client.post("/health/train").status_code == 403
    assert site.commands == []


def test_name_that_points_to_this_machine_is_refused_without_a_password(site: FakeSite) -> None:
    host = {"host": "evil.example:8080", "origin": "http://evil.example:8080"}
    assert site.browser().get("/", headers=host).status_code == 421
    assert site.browser().post("/health/train", headers=host).status_code == 421


def test_viewer_sees_everything_and_changes_nothing(locked_site: FakeSite) -> None:
    client = logged_in(locked_site, VIEWER)
    assert "data-control" not in client.get("/health").text
    assert client.post("/health/train").status_code == 403
    assert locked_site.commands == []


def test_operator_sends_a_command(locked_site: FakeSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    client = logged_in(locked_site, OPERATOR)
    assert "data-control" in client.get("/health").text
    response = client.post("/health/train")
    assert "No answer within 2 seconds" in client.post("/health/train?lang=en").text
    assert response.status_code == 200
    assert [command.name for command in locked_site.commands] == ["train", "train"]
    sent = [record for record in caplog.records if record.getMessage() == "command_sent"]
    assert sent[0].__dict__["fields"]["who"] == "Kim"


def test_command_is_not_sent_without_a_broker(site: FakeSite) -> None:
    site.live.is_connected = False
    assert "Not sent: the broker does not answer" in site.browser().post("/health/train?lang=en").text
    assert "data-broker-away" in site.browser().get("/").text
    assert site.commands == []


def test_without_a_session_nothing_is_shown(locked_site: FakeSite) -> None:
    client = locked_site.browser()
    for path in ("/", *(f"/{name}" for name in VIEWS if name != "login"), "/events?view=now", "/api/now?sensor=001"):
        assert client.get(path, headers={"accept": "*/*"}).status_code == 401, path
    assert client.post("/health/train").status_code == 401
    assert client.get("/loginx", headers={"accept": "*/*"}).status_code == 401


def test_login_tells_strangers_nothing_of_the_site(locked_site: FakeSite) -> None:
    locked_site.live.is_connected = False
    locked_site.live.apply(verdict(0))
    for page in (locked_site.browser().get("/login").text, locked_site.browser().get("/static/x/y").text):
        assert "data-broker-away" not in page
        assert "sse-connect" not in page
        assert 'href="/health"' not in page


def test_large_body_is_refused(site: FakeSite) -> None:
    assert site.browser().post("/login", content=b"x" * 70_000).status_code == 413
    assert site.browser().post("/login", content=iter([b"x"])).status_code == 413


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_failure_says_what_is_wrong(
    site: FakeSite, accept: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(error: Exception) -> None:
        def services(*_: object) -> str:
            raise error

        monkeypatch.setattr(health, "services", services)

    fail(Unavailable(problem("database_locked")))
    locked = site.browser().get("/health?lang=en", headers={"accept": accept})
    assert locked.status_code == 503
    assert "Not available at the moment" in locked.text
    fail(RuntimeError("a secret detail"))
    failed = site.browser().get("/health?lang=en", headers={"accept": accept})
    assert failed.status_code == 500
    assert "could not be made" in failed.text
    assert "secret" not in failed.text
    assert "request_failed" in caplog.text


def test_language_and_theme_of_the_address_are_kept(site: FakeSite) -> None:
    client = site.browser()
    assert 'lang="ko"' in client.get("/").text
    page = client.get("/?lang=en&theme=dark").text
    assert 'lang="en" data-theme="dark"' in page
    assert client.get("/health").text.startswith('<!doctype html>\n<html lang="en" data-theme="dark">')
    assert 'lang="en"' in client.get("/?lang=<script>").text


def test_names_of_sensors_are_escaped(site: FakeSite) -> None:
    site.live.apply(verdict(0, sensor="<b>&\"'"))
    page = site.browser().get("/").text
    assert '<b>&"' not in page
    assert "&lt;b&gt;" in page


def test_values_are_shown_in_the_units_of_the_site(tmp_path: Path) -> None:
    display = Display(flow_rate="l/s", pressure="kPa", decimal=",")
    site = FakeSite(tmp_path, Settings(data=tmp_path, display=display))
    shown = verdict(0, 36.0)
    site.live.apply(shown)
    pressure_kpa = (shown.reading.pressure or 0.0) * 100
    text = site.browser().get("/?lang=en").text
    assert '<span class="digits">10,00</span> <span class="unit">L/s</span>' in text
    assert f'<span class="digits">{pressure_kpa:.0f}</span> <span class="unit">kPa</span>' in text
    assert 'data-decimal=","' in text
    rows = json.loads(newest_minutes(site.page(), "001"))["rows"]
    assert [(row["flow_rate"], row["pressure"]) for row in rows] == [(10.0, pytest.approx(pressure_kpa))]
    flow_rate, pressure = site.page().panel("flow_rate", [LINE]), site.page().panel("pressure", [LINE])
    assert (flow_rate.unit, flow_rate.series[0].data) == ("L/s", [[0, 1.0], [60_000, None]])
    assert (pressure.unit, pressure.series[0].data) == ("kPa", [[0, 360.0], [60_000, None]])
