"""The first training of a short site, run once for all tests."""

from __future__ import annotations

import pytest

from tests.unit.services.trainer.short_site import FakeHistory, FirstTraining, run_training


@pytest.fixture(scope="session")
def first_training(tmp_path_factory: pytest.TempPathFactory) -> FirstTraining:
    history, folder = FakeHistory(), tmp_path_factory.mktemp("data")
    return FirstTraining(history, folder, run_training(history, folder, channels=("flow_rate", "pressure")))
