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
from cli.checks.finding import Finding, ok, wrong
from cli.local_files import broker_folder
from cli.packages import ROOT, Missing
from cli.place import supervisor
from shared.contract.acl import DOCTOR
from shared.runtime.probe import Refused, visit
from shared.settings import Settings

ABSENT = "wvr-doctor"
"""Client id of somebody who is away while the broker restarts."""
SESSION_SECONDS = 600
BACK_SECONDS = 60.0
HEAR_SECONDS = 5.0
KEPT, QUEUED = f"{DOCTOR}/kept", f"{DOCTOR}/queued"
AGAIN = "./wvr down, then ./wvr up"
MEMORY = "mosquitto.db"


@dataclass(frozen=True)
class Home:
    """Where a broker lives, and how it is restarted here."""

    configuration: Path
    folder: str
    """Of its memory, as the operator finds it."""
    restart: Callable[[], None]
    """Raises Missing."""
    saved_at: Callable[[], float | None]
    """When its memory was last written, epoch seconds; None when it never was."""


def home(settings: Settings) -> Home:
    """That of the running site's broker."""
    if supervisor(settings.data):
        memory = broker_folder(settings.data) / MEMORY
        return Home(
            settings.data / "run/mosquitto.conf",
            str(memory.parent),
            lambda: local.restart(settings.data, "broker"),
            lambda: memory.stat().st_mtime if memory.exists() else None,
        )
    return Home(ROOT / "broker/mosquitto.conf", "the Docker volume wvr_broker", _restart_container, _container_saved_at)


def check(settings: Settings, here: Home) -> Iterator[Finding]:
    """Gives the broker a retained message and one for a client who is away, restarts it, and asks for both."""
    token = uuid.uuid4().hex.encode("ascii")
    began = int(time.time())
    try:
        # Mosquitto writes only sessions that were begun as a service begins its own, not clean.
        with visit(settings, ABSENT, SESSION_SECONDS, clean=False) as absent:
            absent.listen(QUEUED)
        with visit(settings) as visitor:
            visitor.say(KEPT, token, retain=True)
            visitor.say(QUEUED, token)
        here.restart()
        lost = _lost(settings, token)
    except Missing as hindrance:
        yield wrong(f"the broker can't be restarted: {hindrance}", "run ./wvr as who started WVR, or with sudo")
    except (Refused, OSError) as error:
        yield wrong(f"the broker does not do its work around a restart: {error}", f"./wvr logs broker; {AGAIN}")
    else:
        yield _judged(lost, here, began)
    finally:
        with suppress(Refused, OSError):
            _clean_up(settings)


def _lost(settings: Settings, token: bytes) -> list[str]:
    """What the broker has no longer. Raises Refused, OSError when it doesn't come back."""
    until = time.monotonic() + BACK_SECONDS
    while True:
        try:
            with visit(settings, ABSENT, SESSION_SECONDS, clean=False) as absent:
                queued = absent.session_kept and absent.hears((QUEUED, token), HEAR_SECONDS)
                absent.listen(KEPT)
                kept = absent.hears((KEPT, token), HEAR_SECONDS)
        except (Refused, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return [name for name, found in (("retained", kept), ("queued", queued)) if not found]


def _judged(lost: list[str], here: Home, began: int) -> Finding:
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
    with visit(settings, ABSENT) as visitor:
        visitor.say(KEPT, b"", retain=True)


def _restart_container() -> None:
    done = compose.compose("restart", "broker", quiet=True)
    if done.returncode:
        raise Missing(done.stderr.strip())


def _container_saved_at() -> float | None:
    said = compose.compose("exec", "-T", "broker", "stat", "-c", "%Y", f"/mosquitto/data/{MEMORY}", quiet=True).stdout
    return float(said) if said.strip().isdecimal() else None
