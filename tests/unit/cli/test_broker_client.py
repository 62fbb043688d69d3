"""A command to a site without an answer fails with an error."""

from __future__ import annotations

import pytest

from cli import broker_client
from cli.bootstrap import CommandError
from shared.settings import Settings
from tests.conftest import Mosquitto, free_port


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
