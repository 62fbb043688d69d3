"""A real Mosquitto on a free port for every test that needs a broker."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from cli.bootstrap import ensure_program
from shared.runtime.broker_connection import CLIENT_ID_FILE
from shared.settings import Settings
from shared.settings.sections import Broker
from tests.polling import wait_for

pytest_plugins = ("tests.timing",)

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")


FOLDER_ORDER = ("e2e", "faults", "fuzz", "contract", "unit")
"""Folders whose tests mostly wait come first, so that processor-bound tests fill the time."""


INDEPENDENT_FILES = {"tests/e2e/test_documents.py", "tests/faults/test_campaign.py", "tests/fuzz/test_fuzz.py"}
"""Files whose tests share no fixtures and may run in several processes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run the tests that are marked `full`")


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of a file to one process, since they share fixtures, except in files of independent tests."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return nodeid if file in INDEPENDENT_FILES else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select and order the tests."""
    if not config.getoption("--full"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("full")])
        items[:] = [item for item in items if not item.get_closest_marker("full")]
    items.sort(key=lambda item: _folder_rank(item.path))


def _folder_rank(path: Path) -> int:
    return next((rank for rank, folder in enumerate(FOLDER_ORDER) if folder in path.parts), len(FOLDER_ORDER))


@dataclass
class Mosquitto:
    """A broker with its state in a folder, without accounts unless `access` is set."""

    folder: Path
    port: int
    access: str = "allow_anonymous true"
    persistence: str = "true"
    max_queued_messages: int = 200_000
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the broker and wait until it listens."""
        self.folder.mkdir(exist_ok=True)
        conf = self.folder / "mosquitto.conf"
        conf.write_text(
            f"listener {self.port} 127.0.0.1\n{self.access}\nuser root\npersistence {self.persistence}\n"
            f"persistence_location {self.folder}/\nmax_inflight_messages 1000\n"
            f"max_queued_messages {self.max_queued_messages}\n",
            encoding="ascii",
        )
        command = [str(ensure_program("mosquitto", "mosquitto")), "-c", str(conf)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(self._listens, what="mosquitto listens")

    def stop(self) -> None:
        """Stop the broker; its state stays in the folder."""
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self) -> None:
        """Send SIGKILL: what arrived since the broker last saved its state is lost."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def lose_power(self) -> None:
        """Send SIGKILL and delete the saved state."""
        self.kill()
        (self.folder / "mosquitto.db").unlink(missing_ok=True)

    def signal(self, number: int) -> None:
        """Send a signal: SIGHUP to reload users and access list, SIGSTOP to block the broker."""
        assert self.process
        self.process.send_signal(number)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Commands disable the logs of their process; enable them again for the next test."""
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker."""
    broker = Mosquitto(tmp_path / "broker", free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a site whose services use the running broker."""
    for secret in ("password", CLIENT_ID_FILE):
        (tmp_path / secret).write_text("any", encoding="ascii")
    monkeypatch.setenv("WVR_HEARTBEAT", str(tmp_path / "heartbeat"))
    return Settings(data=tmp_path / "data", secrets=tmp_path, broker=Broker(port=mosquitto.port))
