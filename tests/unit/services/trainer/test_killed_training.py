"""A training process that is killed by SIGKILL leaves the active model complete, and the next training succeeds."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.trainer import channel_training
from services.trainer.champion_challenger import Decision
from services.trainer.runner import SubprocessRunner
from services.trainer.training_protocol import TrainingProgress, TrainingRecord, TrainingRequest
from shared.contract.messages import LocalizedText
from shared.contract.texts import technical
from shared.domain.series import DAY
from shared.models.litert import load_litert_model
from shared.models.manifest import read_manifest, read_network
from shared.models.registry import ModelRegistry
from shared.models.store import MODEL_FILES
from shared.models.training_result import TrainingResult
from tests.polling import wait_for
from tests.unit.services.trainer.short_site import FirstTraining, run_training

TRAINING_SCRIPT = """
import os, sys
records_out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # Keras prints there
from pathlib import Path
from services.trainer import channel_training
from services.trainer.champion_challenger import Decision
from shared.contract.texts import technical
from services.trainer.training_protocol import decode_request, encode_record
from tests.unit.services.trainer.short_site import FakeHistory, run_training
channel_training.decide = lambda *_: Decision(True, technical("decided by the test"), {})
request = decode_request(sys.argv[2])
for record in run_training(FakeHistory(), Path(sys.argv[1]), request.at):
    print(encode_record(record), file=records_out)
"""


def until(records: Callable[[], list[TrainingRecord]], is_expected: Callable[[TrainingRecord], bool]) -> None:
    received: list[TrainingRecord] = []

    def has_arrived() -> bool:
        received.extend(records())
        return any(map(is_expected, received))

    wait_for(has_arrived, seconds=120, what="a record of the training")


def test_killed_training_leaves_the_active_model_complete_and_the_next_one_replaces_it(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill comes before the files are written; test_store.py kills at each step of that."""
    shutil.copytree(first_training.folder, tmp_path, dirs_exist_ok=True)
    registry, history = ModelRegistry(tmp_path), first_training.history
    first = next(record for record in first_training.records if isinstance(record, TrainingResult))
    registry.activate(first.id, history.end_at, technical("the test begins"))
    child = SubprocessRunner((sys.executable, "-c", TRAINING_SCRIPT, str(tmp_path)))
    child.start(TrainingRequest(history.end_at - 3 * DAY))
    until(child.poll, lambda record: isinstance(record, TrainingProgress) and record.step > 0)
    child.stop()
    (active,) = (result for result in registry.active() if result.channel == "flow_rate")
    folder = tmp_path / active.path
    assert load_litert_model(folder, active.checksum).id == active.id
    assert {path.name for path in folder.iterdir()} == {*MODEL_FILES, "manifest.json", "versions"}
    decided = LocalizedText("시험에서 결정했습니다", "decided by the test")
    monkeypatch.setattr(channel_training, "decide", lambda *_: Decision(True, decided, {}))
    (again,) = (
        record
        for record in run_training(history, tmp_path, history.end_at - 2 * DAY)
        if isinstance(record, TrainingResult)
    )
    assert (again.promoted, tmp_path / again.path) == (True, folder)
    assert load_litert_model(folder, again.checksum).id == again.id
    assert read_network(folder / "versions" / first.id)[1]["id"] == first.id
    manifest = read_manifest(folder)
    assert (manifest["reason"], manifest["reason_ko"]) == (decided.en, decided.ko)
    assert not list(folder.rglob(".*.part"))
