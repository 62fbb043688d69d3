"""Complete sites: in Docker Compose if an engine answers, and as local processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.compose import engine
from tests.conftest import free_port
from tests.e2e.running_site import RunningSite, simulated

HISTORY_DAYS = 60
"""Days of simulated history: enough for a training that ends soon."""


def require_docker() -> None:
    """Skip the test if no engine answers; fail it if WVR_REQUIRE_DOCKER is set."""
    docker = engine()
    if not docker.is_available:
        if os.environ.get("WVR_REQUIRE_DOCKER"):
            pytest.fail(f"WVR_REQUIRE_DOCKER is set, but {docker.detail}")
        pytest.skip(docker.detail)


@contextmanager
def in_docker(folder: Path, site_toml: str) -> Iterator[RunningSite]:
    """Start a new site in Docker with `./wvr up`; remove it with all its data at the end."""
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
    """A simulated site in Docker with two months of history."""
    with in_docker(tmp_path_factory.mktemp("compose"), simulated(HISTORY_DAYS)) as site:
        yield site


@pytest.fixture(scope="module")
def local_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A simulated site as local processes, started by `./wvr up --local`."""
    site = RunningSite.create(tmp_path_factory.mktemp("local"), free_port(), simulated(HISTORY_DAYS))
    try:
        started = site.wvr("up", "--local")
        assert started.returncode == 0, started.stdout + started.stderr
        assert "starts as local processes" in started.stdout
        yield site
    finally:
        site.wvr("down")
