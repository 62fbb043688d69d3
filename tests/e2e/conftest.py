"""Whole sites: in Docker Compose where an engine answers, and as local processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.compose import engine
from tests.conftest import free_port
from tests.e2e.running_site import RunningSite, simulated

A_YEAR = 365
TWO_MONTHS = 60
"""Of simulated history: enough for a training, and quickly learned."""


def require_docker() -> None:
    """Skips the test when no engine answers; fails it where WVR_REQUIRE_DOCKER is set."""
    found = engine()
    if not found.is_available:
        if os.environ.get("WVR_REQUIRE_DOCKER"):
            pytest.fail(f"WVR_REQUIRE_DOCKER is set, but {found.detail}")
        pytest.skip(found.detail)


@contextmanager
def in_docker(folder: Path, site_toml: str) -> Iterator[RunningSite]:
    """A fresh site that `./wvr up` has started in Docker; gone with all its data afterwards."""
    require_docker()
    site = RunningSite.create(folder, free_port(), site_toml)
    try:
        started = site.wvr("up")
        assert started.returncode == 0, started.stdout + started.stderr
        assert "starts in Docker" in started.stdout
        yield site
    finally:
        site.compose("down", "--volumes", "--timeout", "5")


@pytest.fixture(scope="module")
def compose_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A simulated site in Docker with a year of history."""
    with in_docker(tmp_path_factory.mktemp("compose"), simulated(A_YEAR)) as site:
        yield site


@pytest.fixture(scope="module")
def local_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A fresh site that `./wvr up --local` has started."""
    site = RunningSite.create(tmp_path_factory.mktemp("local"), free_port(), simulated(TWO_MONTHS))
    try:
        started = site.wvr("up", "--local")
        assert started.returncode == 0, started.stdout + started.stderr
        assert "starts as local processes" in started.stdout
        yield site
    finally:
        site.wvr("down")
