"""Does the broker really keep what it must over a restart: asked of the site's own broker, by `--deep` alone."""

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
from shared.runtime.probe import Refused, visit
from shared.settings import Settings

ABSENT_CLIENT = "wvr-doctor"
"""Client id of somebody who is away while the broker restarts."""
SESSION_EXPIRY_SECONDS = 600
RESTART_TIMEOUT_SECONDS = 60.0
RECEIVE_TIMEOUT_SECONDS = 5.0
RETAINED_TOPIC, QUEUED_TOPIC = f"{DOCTOR_TOPICS}/kept", f"{DOCTOR_TOPICS}/queued"
AGAIN = "./wvr down, then ./wvr up"
MEMORY = "mosquitto.db"


@dataclass(frozen=True)
class BrokerInstall:
    """Where a broker lives, and how it is restarted here."""

    configuration: Path
    folder: str
    """Of its memory, as the operator finds it."""
    restart: Callable[[], None]
    """Raises Missing."""
    saved_at: Callable[[], float | None]
    """When its memory was last written, epoch seconds; None when it never was."""


def locate_broker(settings: Settings) -> BrokerInstall:
    """That of the running site's broker."""
    if supervisor_pid(settings.data):
        memory = broker_folder(settings.data) / MEMORY
        return BrokerInstall(
            settings.data / "run/mosquitto.conf",
            str(memory.parent),
            lambda: local.restart(settings.data, "broker"),
            lambda: memory.stat().st_mtime if memory.exists() else None,
        )
    return BrokerInstall(
        ROOT / "broker/mosquitto.conf", "the Docker volume wvr_broker", _restart_container, _container_saved_at
    )


def check(settings: Settings, here: BrokerInstall) -> Iterator[Finding]:
    """Gives the broker a retained message and one for a client who is away, restarts it, and asks for both."""
    token = uuid.uuid4().hex.encode("ascii")
    began = int(time.time())
    try:
        # Mosquitto writes only sessions that were begun as a service begins its own, not clean.
        with visit(settings, ABSENT_CLIENT, SESSION_EXPIRY_SECONDS, clean=False) as absent:
            absent.listen(QUEUED_TOPIC)
        with visit(settings) as visitor:
            visitor.say(RETAINED_TOPIC, token, retain=True)
            visitor.say(QUEUED_TOPIC, token)
        here.restart()
        lost = _lost(settings, token)
    except CommandError as hindrance:
        yield wrong(f"the broker can't be restarted: {hindrance}", "run ./wvr as who started WVR, or with sudo")
    except (Refused, OSError) as error:
        yield wrong(f"the broker does not do its work around a restart: {error}", f"./wvr logs broker; {AGAIN}")
    else:
        yield _result(lost, here, began)
    finally:
        with suppress(Refused, OSError):
            _clean_up(settings)


def _lost(settings: Settings, token: bytes) -> list[str]:
    """What the broker has no longer. Raises Refused, OSError when it doesn't come back."""
    until = time.monotonic() + RESTART_TIMEOUT_SECONDS
    while True:
        try:
            with visit(settings, ABSENT_CLIENT, SESSION_EXPIRY_SECONDS, clean=False) as absent:
                queued = absent.session_kept and absent.hears((QUEUED_TOPIC, token), RECEIVE_TIMEOUT_SECONDS)
                absent.listen(RETAINED_TOPIC)
                kept = absent.hears((RETAINED_TOPIC, token), RECEIVE_TIMEOUT_SECONDS)
        except (Refused, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return [name for name, found in (("retained", kept), ("queued", queued)) if not found]


def _result(lost: list[str], here: BrokerInstall, began: int) -> Finding:
    if not lost:
        return ok("the broker was restarted, and had kept a retained message and one for a client who was away")
    what = f"the broker forgets over a restart ({' and '.join(lost)} messages)"
    settings = re.findall(r"^persistence\s+(\w+)", here.configuration.read_text(encoding="utf-8"), re.MULTILINE)
    if settings[-1:] != ["true"]:
        return wrong(f"{what}: persistence is off", f"write `persistence true` into broker/mosquitto.conf; {AGAIN}")
    if (here.saved_at() or 0) < began:
        advice = f"give it to the broker's user, make room on its disk; ./wvr logs broker; {AGAIN}"
        return wrong(f"{what}: it can't write its memory in {here.folder}", advice)
    advice = f"./wvr down; move {MEMORY} out of {here.folder}; ./wvr up: readings on their way are sent again"
    return wrong(f"{what}, although it wrote its memory in {here.folder}", advice)


def _clean_up(settings: Settings) -> None:
    with visit(settings, ABSENT_CLIENT) as visitor:
        visitor.say(RETAINED_TOPIC, b"", retain=True)


def _restart_container() -> None:
    done = compose.compose("restart", "broker", quiet=True)
    if done.returncode:
        raise CommandError(done.stderr.strip())


def _container_saved_at() -> float | None:
    said = compose.compose("exec", "-T", "broker", "stat", "-c", "%Y", f"/mosquitto/data/{MEMORY}", quiet=True).stdout
    return float(said) if said.strip().isdecimal() else None
