"""Whether the broker keeps its messages over a restart, tested on the site's own broker by `--deep`."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli import compose, local
from cli.bootstrap import ROOT, CommandError
from cli.doctor_checks.finding import Finding, ok, wrong
from cli.local_config import broker_folder
from cli.local_site import supervisor_pid
from shared.contract.acl import DOCTOR_TOPICS
from shared.runtime.broker_probe import BrokerRefused, broker_session
from shared.settings import Settings

ABSENT_CLIENT = "wvr-doctor"
"""Client id that is disconnected while the broker restarts."""
SESSION_EXPIRY_SECONDS = 600
RESTART_TIMEOUT_SECONDS = 60.0
RECEIVE_TIMEOUT_SECONDS = 5.0
RETAINED_TOPIC, QUEUED_TOPIC = f"{DOCTOR_TOPICS}/kept", f"{DOCTOR_TOPICS}/queued"
AGAIN = "./wvr down, then ./wvr up"
MEMORY = "mosquitto.db"


@dataclass(frozen=True)
class BrokerInstall:
    """Configuration and persistence of a broker, and how to restart it."""

    configuration: Path
    folder: str
    """Folder of the persistence file, as shown to the operator."""
    restart: Callable[[], None]
    """Restart the broker. Raises CommandError."""
    saved_at: Callable[[], float | None]
    """Return when the persistence file was last written, epoch seconds, or None if it never was."""


def locate_broker(settings: Settings) -> BrokerInstall:
    """Return the broker of the running site."""
    if supervisor_pid(settings.data):
        memory = broker_folder(settings.data) / MEMORY
        return BrokerInstall(
            settings.data / "run/mosquitto.conf",
            str(memory.parent),
            lambda: local.restart(settings.data, "broker"),
            lambda: memory.stat().st_mtime if memory.exists() else None,
        )
    return BrokerInstall(
        ROOT / "broker/mosquitto.conf",
        f"the Docker volume {compose.project()}_broker",
        _restart_container,
        _container_saved_at,
    )


def check(settings: Settings, broker: BrokerInstall) -> Iterator[Finding]:
    """Publish a retained message and one for an absent client, restart the broker, and request both."""
    token = uuid.uuid4().hex.encode("ascii")
    started = int(time.time())
    try:
        # Mosquitto persists only sessions that start without the clean flag, like those of the services.
        with broker_session(settings, ABSENT_CLIENT, SESSION_EXPIRY_SECONDS, clean_start=False) as absent:
            absent.subscribe(QUEUED_TOPIC)
        with broker_session(settings) as visitor:
            visitor.publish(RETAINED_TOPIC, token, retain=True)
            visitor.publish(QUEUED_TOPIC, token)
        broker.restart()
        lost = _lost(settings, token)
    except CommandError as error:
        yield wrong(f"the broker can't be restarted: {error}", "run ./wvr as the user who started WVR, or with sudo")
    except (BrokerRefused, OSError) as error:
        yield wrong(f"the broker failed around a restart: {error}", f"./wvr logs broker; {AGAIN}")
    else:
        yield _result(lost, broker, started)
    finally:
        with suppress(BrokerRefused, OSError):
            _clean_up(settings)


def _lost(settings: Settings, token: bytes) -> list[str]:
    """Return the kinds of lost messages. Raises BrokerRefused, OSError if the broker does not come back."""
    deadline = time.monotonic() + RESTART_TIMEOUT_SECONDS
    while True:
        try:
            with broker_session(settings, ABSENT_CLIENT, SESSION_EXPIRY_SECONDS, clean_start=False) as absent:
                queued = absent.session_present and absent.wait_for((QUEUED_TOPIC, token), RECEIVE_TIMEOUT_SECONDS)
                absent.subscribe(RETAINED_TOPIC)
                retained = absent.wait_for((RETAINED_TOPIC, token), RECEIVE_TIMEOUT_SECONDS)
        except (BrokerRefused, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return [name for name, received in (("retained", retained), ("queued", queued)) if not received]


def _result(lost: list[str], broker: BrokerInstall, started: int) -> Finding:
    if not lost:
        return ok("the broker kept a retained message and a queued one over a restart")
    what = f"the broker loses {' and '.join(lost)} messages over a restart"
    settings = re.findall(r"^persistence\s+(\w+)", broker.configuration.read_text(encoding="utf-8"), re.MULTILINE)
    if settings[-1:] != ["true"]:
        return wrong(f"{what}: persistence is off", f"write `persistence true` into broker/mosquitto.conf; {AGAIN}")
    if (broker.saved_at() or 0) < started:
        advice = f"give the folder to the broker's user, free disk space; ./wvr logs broker; {AGAIN}"
        return wrong(f"{what}: it can't write its persistence file in {broker.folder}", advice)
    advice = f"./wvr down; move {MEMORY} out of {broker.folder}; ./wvr up: ingest retransmits readings"
    return wrong(f"{what}, although it wrote its persistence file in {broker.folder}", advice)


def _clean_up(settings: Settings) -> None:
    with broker_session(settings, ABSENT_CLIENT) as visitor:
        visitor.publish(RETAINED_TOPIC, b"", retain=True)


def _restart_container() -> None:
    done = compose.compose("restart", "broker", quiet=True)
    if done.returncode:
        raise CommandError(done.stderr.strip())


def _container_saved_at() -> float | None:
    output = compose.compose("exec", "-T", "broker", "stat", "-c", "%Y", f"/mosquitto/data/{MEMORY}", quiet=True).stdout
    return float(output) if output.strip().isdecimal() else None
