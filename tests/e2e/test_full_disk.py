"""A complete local site on a full disk: every process survives, the status reports it, and the site recovers."""

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


def fill_with_bytes(filler: Path) -> None:
    with suppress(OSError), (filler / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def fill_with_files(filler: Path) -> None:
    with suppress(OSError):
        for number in range(100_000):
            (filler / str(number)).touch()


@pytest.mark.parametrize(
    ("limits", "fill", "affected"),
    [
        ("size=12m", fill_with_bytes, ("ingest", "db_writer", "reporter")),
        ("nr_inodes=400", fill_with_files, ("reporter",)),
    ],
    ids=["no space", "no inodes"],
)
def test_full_disk_is_reported_and_no_reading_is_lost(
    tmp_path: Path, limits: str, fill: Callable[[Path], None], affected: tuple[str, ...]
) -> None:
    """Takes a minute: a complete site starts on a small disk, and each service must report and recover."""
    site = RunningSite.create(tmp_path, free_port(), SITE_TOML)
    with mount_small_disk(site.data, limits):
        try:
            assert site.wvr("up", "--local").returncode == 0
            fed = FedSite(site)
            fed.feed(60)
            fed.wait_until_all_is_stored()
            assert_full_disk_is_survived(fed, fill, affected)
        finally:
            site.wvr("down")


def assert_full_disk_is_survived(fed: FedSite, fill: Callable[[Path], None], affected: tuple[str, ...]) -> None:
    site = fed.site
    processes = {name: site.process(name) for name in ("broker", *SERVICES)}
    filler = site.data / "filler"
    filler.mkdir()
    with listening(site, "viewer") as viewer:
        fill(filler)
        fed.feed(50)  # fits in the last 4096-byte page of the logger's file
        for name in affected:
            wait_for(partial(reports_full_disk, viewer, name), 40, f"a status of {name} that reports the full disk")
        site_assertions.assert_degraded(site, *affected)
        for path in filler.iterdir():
            path.unlink()
        fed.wait_until_all_is_stored()
    fed.wait_for_alert()
    wait_for(lambda: len(fed.blocks()) == 11, 30, "eleven blocks")
    values = [line.split()[2] for block in fed.blocks() for line in block.splitlines()]
    assert values == [f"{flow_rate(number):.2f}" for number in range(110)]
    assert fed.values() == fed.expected()
    assert {name: site.process(name) for name in processes} == processes


def reports_full_disk(viewer: Listener, service: str) -> bool:
    """Return whether a status of the service reported the full disk."""
    return any("No space left" in note or "the disk is full" in note for note in notes(viewer, service))
