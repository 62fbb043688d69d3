"""The first training of a short site, done once for all tests."""

from __future__ import annotations

import pytest

from tests.unit.services.trainer.short_site import FirstTraining, SimulatedPast, run


@pytest.fixture(scope="session")
def first_training(tmp_path_factory: pytest.TempPathFactory) -> FirstTraining:
    past, folder = SimulatedPast(), tmp_path_factory.mktemp("data")
    return FirstTraining(past, folder, run(past, folder, channels=("flow_rate", "pressure")))
