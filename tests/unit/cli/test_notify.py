"""`./wvr notify`: contacts and test messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.bootstrap import CommandError
from cli.notify import main
from services.notifier.sending import SendError
from services.notifier.state import Outgoing
from services.notifier.webhook import Webhook
from tests.conftest import free_port

SITE = """
[dma]
name = "온정리"
[notify.ops]
kind = "webhook"
quiet = "22:00-07:00"
[notify.boss]
kind = "webhook"
from = "critical"
after = "15m"
daily = ""
language = "en"
"""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with two contacts, whose secret files are missing."""
    file = tmp_path / "site.toml"
    file.write_text(SITE, encoding="utf-8")
    monkeypatch.setenv("WVR_SITE_FILE", str(file))
    monkeypatch.setenv("WVR_DATA", str(tmp_path / "data"))
    (tmp_path / "data/secrets/notifier").mkdir(parents=True)
    return tmp_path


def test_list_shows_the_rules_of_each_contact(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ops          webhook, from warning, ko, quiet 22:00-07:00, daily 09:00",
        "boss         webhook, from critical, en, after 15 min without acknowledgement, no daily message",
    ]


def test_failed_test_message_prints_the_reason(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "data/secrets/notifier/ops").write_text(f"http://127.0.0.1:{free_port()}/S3CRET", encoding="ascii")
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert "ops: not sent: no connection: [Errno 111] Connection refused" in output
    assert "boss: not sent: data/secrets/notifier/boss is missing: write the secret into it" in output
    assert "S3CRET" not in output


def test_test_message_is_in_the_language_of_the_contact(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    messages: list[Outgoing] = []
    monkeypatch.setattr(Webhook, "send", lambda _, message: messages.append(message))
    assert main(["test"]) == 0
    assert [message.title for message in messages] == ["[시험] 온정리 알림 시험", "Test: 온정리"]
    assert [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()] == ["ops: sent", "boss: sent"]


def test_other_contacts_are_tried_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def send(_: Webhook, message: Outgoing) -> None:
        names.append(message.contact)
        raise SendError("HTTP 500")

    monkeypatch.setattr(Webhook, "send", send)
    assert main(["test"]) == 1
    assert names == ["ops", "boss"]
    assert main(["test", "boss"]) == 1
    assert names == ["ops", "boss", "boss"]


def test_unknown_contact_and_missing_tables_say_what_to_do(site: Path) -> None:
    with pytest.raises(CommandError, match=r"no contact 'chief' in site\.toml; there are: ops, boss"):
        main(["test", "chief"])
    (site / "site.toml").write_text("", encoding="ascii")
    with pytest.raises(CommandError, match=r"see docs/how-to/notify\.md"):
        main(["list"])
