"""A command to a site without an answer fails with an error."""

from __future__ import annotations

import pytest

from cli import broker_client
from cli.bootstrap import CommandError
from cli.import_ import make_sender
from cli.import_plan import Plan
from shared.contract.messages import HistoryMinute
from shared.settings import Settings
from tests.conftest import Mosquitto, free_port
from tests.unit.factories import minute_at


def test_command_fails_without_a_broker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "BROKER_TIMEOUT_SECONDS", 0.5)
    settings_without_broker = settings.model_copy(
        update={"broker": settings.broker.model_copy(update={"port": free_port()})}
    )
    with pytest.raises(CommandError, match="the broker does not answer"):
        broker_client.send_command(settings_without_broker, "train")


def test_command_fails_if_the_site_never_replies(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "REPLY_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(CommandError, match="the site does not answer"):
        broker_client.send_command(settings, "train")


def test_command_fails_if_the_broker_dies_before_the_reply(
    settings: Settings, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_client, "REPLY_TIMEOUT_SECONDS", 2.0)

    def kill_broker(*_: object) -> None:
        mosquitto.kill()

    monkeypatch.setattr("shared.runtime.mqtt_bus.MqttBus.confirm", kill_broker)
    with pytest.raises(CommandError, match="the site does not answer"):
        broker_client.send_command(settings, "train")


def test_import_without_answers_fails_and_says_in_both_languages_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_client, "REPLY_TIMEOUT_SECONDS", 0.5)
    minutes: list[HistoryMinute] = [(minute_at(minute), 1.0, None) for minute in range(6000)]
    sender = make_sender(Plan(new={"001": minutes}), "site1", replace=False)
    with pytest.raises(CommandError) as failure:
        broker_client.send_history(settings, sender)
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("the site does not answer for")
    assert lines[1].startswith("2개 중 0개 부분만 저장되었습니다")
    assert lines[2].startswith("only 0 of 2 parts are stored")
