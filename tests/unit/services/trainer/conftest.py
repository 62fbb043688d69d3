"""The first training of a short site, done once for all tests."""

from __future__ import annotations

import pytest

from tests.unit.services.trainer.short_site import FakeHistory, FirstTraining, run_training


@pytest.fixture(scope="session")
def first_training(tmp_path_factory: pytest.TempPathFactory) -> FirstTraining:
    past, folder = FakeHistory(), tmp_path_factory.mktemp("data")
    return FirstTraining(past, folder, run_training(past, folder, channels=("flow_rate", "pressure")))
