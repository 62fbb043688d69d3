"""A whole local site on a disk that becomes full: nothing dies, the status says so, and it goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.e2e import site_assertions
from tests.e2e.fed_site import SITE_TOML, FedSite, flow_rate, notes
from tests.e2e.running_site import SERVICES, Listener, RunningSite, listening
from tests.polling import wait_for
from tests.small_disk import mount_small_disk


def fill_with_bytes(waste: Path) -> None:
    with suppress(OSError), (waste / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def fill_with_files(waste: Path) -> None:
    with suppress(OSError):
        for number in range(100_000):
            (waste / str(number)).touch()


@pytest.mark.parametrize(
    ("limits", "fill", "hindered"),
    [
        ("size=12m", fill_with_bytes, ("ingest", "db_writer", "reporter")),
        ("nr_inodes=400", fill_with_files, ("reporter",)),
    ],
    ids=["no space", "no inodes"],
)
def test_full_disk_is_reported_and_no_reading_is_lost(
    tmp_path: Path, limits: str, fill: Callable[[Path], None], hindered: tuple[str, ...]
) -> None:
    site = RunningSite.create(tmp_path, free_port(), SITE_TOML)
    with mount_small_disk(site.data, limits):
        try:
            assert site.wvr("up", "--local").returncode == 0
            fed = FedSite(site)
            fed.feed(60)
            fed.wait_until_all_is_stored()
            lives_through(fed, fill, hindered)
        finally:
            site.wvr("down")


def lives_through(fed: FedSite, fill: Callable[[Path], None], hindered: tuple[str, ...]) -> None:
    site = fed.site
    processes = {name: site.process(name) for name in ("broker", *SERVICES)}
    waste = site.data / "waste"
    waste.mkdir()
    with listening(site, "viewer") as viewer:
        fill(waste)
        fed.feed(50)  # the logger's file still has room in its last 4096 bytes
        for name in hindered:
            wait_for(partial(tells, viewer, name), 40, f"the status of {name} says that the disk is full")
        site_assertions.assert_all_services_healthy(site)
        for path in waste.iterdir():
            path.unlink()
        fed.wait_until_all_is_stored()
    fed.wait_for_alert()
    wait_for(lambda: len(fed.blocks()) == 11, 30, "eleven blocks")
    values = [line.split()[2] for block in fed.blocks() for line in block.splitlines()]
    assert values == [f"{flow_rate(number):.2f}" for number in range(110)]
    assert fed.values() == fed.expected()
    assert {name: site.process(name) for name in processes} == processes


def tells(viewer: Listener, service: str) -> bool:
    """Whether a service's status has said that the disk is full."""
    return any("No space left" in note or "the disk is full" in note for note in notes(viewer, service))
