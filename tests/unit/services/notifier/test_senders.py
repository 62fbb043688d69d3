"""Webhooks and apprise against a real HTTP server; no secret is in a reason or a log."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.notifier.apprise_sender import AppriseSender
from services.notifier.secret_files import SecretFiles
from services.notifier.sending import SendError
from services.notifier.state import Outgoing
from services.notifier.webhook import Webhook
from shared.settings.notify import Notify
from tests.conftest import free_port
from tests.unit.services.notifier.notifier_site import MONDAY

SECRET = "s3cr3tT0ken"


class FakeEndpoint:
    """An HTTP server that records requests and answers with `status`."""

    def __init__(self) -> None:
        self.status, self.requests = 200, list[tuple[str, dict[str, str], str]]()
        self.headers: dict[str, str] = {}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                endpoint.requests.append((self.path, dict(self.headers.items()), body))
                self.send_response(endpoint.status)
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(f"wrong token {self.path}".encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    server = FakeEndpoint()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What reaches the log of the process, debug texts included; caplog also shows what does not."""
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())  # type: ignore[method-assign]
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield texts
    root.setLevel(level)
    root.removeHandler(handler)


def message(text: str = '누수 "의심"\n둘째 줄 {key}') -> Outgoing:
    return Outgoing(
        key="a1-7",
        contact="ops",
        severity="critical",
        state="opened",
        title="[위험] 001 파열",
        text=text,
        site="site1",
        sensor="001",
        at=MONDAY,
    )


def webhook(folder: Path, **table: Any) -> Webhook:
    return Webhook("ops", Notify(kind="webhook", **table), SecretFiles(folder), timeout=2.0)


def test_webhook_sends_the_template_with_escaped_values(tmp_path: Path, endpoint: FakeEndpoint) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n", encoding="ascii")
    sender = webhook(
        tmp_path,
        url=f"http://127.0.0.1:{endpoint.port}/send?to={{sensor}}",
        headers={"Authorization": "Bearer {secret:token}", "X-Title": "{title}"},
        body='{"to": "010", "msg": {"t": "{title}", "b": "{text}"}, "level": "{severity}", "id": "{key}"}',
    )
    sender.send(message())
    path, headers, body = endpoint.requests[0]
    assert path == "/send?to=001"
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Idempotency-Key"] == "a1-7"
    assert headers["X-Title"].isascii()
    assert json.loads(body) == {
        "to": "010",
        "msg": {"t": "[위험] 001 파열", "b": '누수 "의심"\n둘째 줄 {key}'},
        "level": "critical",
        "id": "a1-7",
    }


def test_webhook_default_body_has_every_field(tmp_path: Path, endpoint: FakeEndpoint) -> None:
    (tmp_path / "ops").write_text(f"http://127.0.0.1:{endpoint.port}/hook/{SECRET}", encoding="ascii")
    webhook(tmp_path).send(message())
    path, _, body = endpoint.requests[0]
    assert path == f"/hook/{SECRET}"
    assert json.loads(body)["at"] == MONDAY.isoformat()


def test_webhook_form_is_escaped_for_a_form(tmp_path: Path, endpoint: FakeEndpoint) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"http://127.0.0.1:{endpoint.port}/"
    webhook(tmp_path, url=url, headers=form, body="msg={text}&to=1").send(message("a&b=c 100%"))
    assert endpoint.requests[0][2] == "msg=a%26b%3Dc+100%25&to=1"


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (401, {}, "HTTP 401 Unauthorized: wrong token"),
        (503, {}, "HTTP 503 Service Unavailable: wrong token"),
        (302, {"Location": "http://127.0.0.1:1/"}, "HTTP 302 Found"),
    ],
)
def test_webhook_failure_has_the_reason_without_the_secret(
    tmp_path: Path, endpoint: FakeEndpoint, status: int, headers: dict[str, str], reason: str
) -> None:
    endpoint.status, endpoint.headers = status, headers
    (tmp_path / "ops").write_text(f"http://127.0.0.1:{endpoint.port}/hook/{SECRET}?k={SECRET}2", encoding="ascii")
    with pytest.raises(SendError, match=reason) as failure:
        webhook(tmp_path).send(message())
    assert SECRET not in str(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_webhook_without_a_server_says_so(tmp_path: Path) -> None:
    with pytest.raises(SendError, match=r"no connection: .*Connection refused"):
        webhook(tmp_path, url=f"http://127.0.0.1:{free_port()}/").send(message())


@pytest.mark.parametrize("content", [None, "", "not an address"])
def test_wrong_secret_file_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ops").write_text(content, encoding="ascii")
    reason = "does not begin with http" if content else "data/secrets/notifier/ops is (missing|empty)"
    with pytest.raises(SendError, match=reason):
        webhook(tmp_path).send(message())


def test_corrected_secret_helps_without_a_restart(tmp_path: Path, endpoint: FakeEndpoint) -> None:
    sender = webhook(tmp_path)
    with pytest.raises(SendError):
        sender.send(message())
    (tmp_path / "ops").write_text(f"http://127.0.0.1:{endpoint.port}/", encoding="ascii")
    sender.send(message())
    assert len(endpoint.requests) == 1


def test_apprise_sends_title_and_text(tmp_path: Path, endpoint: FakeEndpoint) -> None:
    (tmp_path / "ops").write_text(f"json://127.0.0.1:{endpoint.port}/{SECRET}", encoding="ascii")
    AppriseSender("ops", Notify(), SecretFiles(tmp_path)).send(message())
    sent = json.loads(endpoint.requests[0][2])
    assert (sent["title"], sent["message"], sent["type"]) == (message().title, message().text, "failure")


@pytest.mark.parametrize("url", ["json://user:{secret}@127.0.0.1:{port}/{secret}x", "nothing://{secret}", "{secret}"])
def test_apprise_failure_has_a_reason_and_no_secret(
    tmp_path: Path, endpoint: FakeEndpoint, url: str, logged: list[str]
) -> None:
    endpoint.status = 401
    (tmp_path / "ops").write_text(url.format(secret=SECRET, port=endpoint.port), encoding="ascii")
    with pytest.raises(SendError) as failure:
        AppriseSender("ops", Notify(), SecretFiles(tmp_path)).send(message())
    assert len(str(failure.value)) > 20
    assert SECRET not in str(failure.value)
    assert SECRET not in "".join(logged)


def test_apprise_without_a_server_has_no_secret(tmp_path: Path, logged: list[str]) -> None:
    (tmp_path / "ops").write_text(f"json://127.0.0.1:{free_port()}/{SECRET}", encoding="ascii")
    with pytest.raises(SendError) as failure:
        AppriseSender("ops", Notify(), SecretFiles(tmp_path)).send(message())
    assert "Connection refused" in str(failure.value)
    assert SECRET not in str(failure.value) + "".join(logged)


def test_settings_show_no_secret() -> None:
    assert SECRET not in repr(Notify(url=f"json://host/{SECRET}"))


def test_mask_hides_parts_of_a_url_but_not_its_host(tmp_path: Path) -> None:
    secrets = SecretFiles(tmp_path)
    secrets.hide("tgram://123456789:AAbbCC%2Fdd/chat99?format=text")
    assert secrets.mask("api.telegram.org/bot123456789:AAbbCC/dd failed for chat99") == (
        "api.telegram.org/bot123456789:*** failed for ***"
    )
