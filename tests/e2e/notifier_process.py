"""The notifier as a process, with short waits, that a test can kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cli.bootstrap import ROOT
from shared.contract.codec import encode
from shared.contract.messages import Message
from shared.contract.topics import topic_of
from tests.conftest import Mosquitto
from tests.polling import wait_for

PROGRAM = """
from datetime import timedelta
from services.notifier.main import main
main(timedelta(seconds=0.5), first_delay=0.2)
"""


class NotifierProcess:
    """A notifier with its data folder, and an MQTT client beside it."""

    def __init__(self, folder: Path, broker: Mosquitto, site_toml: str) -> None:
        self.folder, self._broker = folder, broker
        (folder / "site.toml").write_text(site_toml, encoding="utf-8")
        (folder / "secrets").mkdir(exist_ok=True)
        for name in ("password", "client_id"):
            (folder / "secrets" / name).write_text("any", encoding="ascii")
        self.log = folder / "notifier.log"
        self.received: list[tuple[str, bytes]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _, __, packet: self.received.append((packet.topic, bytes(packet.payload)))
        self.client.connect("127.0.0.1", broker.port)
        self.client.subscribe([("wvr/#", 1), ("homeassistant/#", 1)])
        self.client.loop_start()

    def start(self) -> None:
        """Start the process and wait until it is online."""
        variables = {
            "WVR_DATA": str(self.folder / "data"),
            "WVR_SITE_FILE": str(self.folder / "site.toml"),
            "WVR_SECRETS": str(self.folder / "secrets"),
            "WVR_BROKER__PORT": str(self._broker.port),
            "WVR_HEARTBEAT": str(self.folder / "heartbeat"),
        }
        before = len(self.received)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], cwd=ROOT, env=os.environ | variables, stdout=output, stderr=output
            )
        wait_for(lambda: any(status["state"] == "online" for status in self.statuses(before)), what="notifier online")

    def kill(self) -> None:
        """Send SIGKILL."""
        assert self._process
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """Stop the process and the client."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        self.client.disconnect()
        self.client.loop_stop()

    def publish(self, message: Message) -> None:
        self.client.publish(topic_of(message), encode(message), 1, message.retained).wait_for_publish(10)

    def statuses(self, first: int = 0) -> list[dict[str, Any]]:
        """Return the statuses of the notifier, from a received message on."""
        return [json.loads(text) for topic, text in self.received[first:] if topic.endswith("/service/notifier")]

    def notifications(self, state: str) -> list[dict[str, Any]]:
        """Return the published notifications in a state."""
        messages = [json.loads(text) for topic, text in list(self.received) if topic.endswith("/notification")]
        return [message for message in messages if message["state"] == state]
