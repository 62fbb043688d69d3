"""A broker with the real users, passwords and access list, and no services."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.bootstrap import ensure_program
from cli.init_site import mosquitto_hash, set_up, set_up_broker, set_up_tls
from cli.local_config import broker_folder, mosquitto_conf
from shared.settings import Settings
from shared.settings.sections import Broker
from tests.conftest import free_port
from tests.e2e.running_site import RunningSite
from tests.polling import wait_for

OBSERVER = "observer"
"""A user for tests that may publish and receive everything."""


@contextmanager
def acl_broker(data: Path, change: Callable[[Path], None] | None = None) -> Iterator[RunningSite]:
    """Start the broker as `./wvr up --local` does; `change` may edit the broker's folder before the start."""
    settings = Settings(data=data, broker=Broker(port=free_port(), tls_port=free_port()))
    folder = broker_folder(data)
    set_up(data)
    set_up_broker(data, folder)
    set_up_tls(data, folder, f"{settings.broker.tls_port} 127.0.0.1", folder)
    if change:
        change(folder)
    conf = data / "mosquitto.conf"
    conf.write_text(mosquitto_conf(settings, "127.0.0.1"), encoding="utf-8")
    broker = subprocess.Popen([ensure_program("mosquitto", "mosquitto"), "-c", conf])
    site = RunningSite(data, settings.broker.port, "", settings.broker.tls_port)
    try:
        wait_for(site.listens, what="mosquitto listens")
        yield site
    finally:
        broker.terminate()
        broker.wait(10)


def add_observer(folder: Path) -> None:
    """Add the observer, whose password is its name."""
    with (folder / "passwd").open("a", encoding="ascii") as passwords:
        passwords.write(f"{OBSERVER}:{mosquitto_hash(OBSERVER)}\n")
    with (folder / "acl").open("a", encoding="ascii") as rules:
        rules.write(f"\nuser {OBSERVER}\ntopic readwrite #\ntopic readwrite $SYS/#\n")
