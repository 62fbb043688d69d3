"""A training process that is killed by SIGKILL leaves the model in use whole, and the next one does its work."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from services.trainer import channel_training
from services.trainer.champion_challenger import Decision
from services.trainer.runner import SubprocessRunner
from services.trainer.training_protocol import TrainingProgress, TrainingRecord, TrainingRequest, TrainingResult
from shared.domain.series import DAY
from shared.models.litert import load_litert_model
from shared.models.registry import ModelRegistry
from shared.models.store import MODEL_FILES
from tests.polling import wait_for
from tests.unit.services.trainer.short_site import FirstTraining, run_training

TRAINING_SCRIPT = """
import os, sys
told = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # Keras prints there
from pathlib import Path
from services.trainer import channel_training
from services.trainer.champion_challenger import Decision
from services.trainer.training_protocol import decode_request, encode_record
from tests.unit.services.trainer.short_site import FakeHistory, run_training
channel_training.decide = lambda *_: Decision(True, "so it was judged", {})
plan = decode_request(sys.argv[2])
for record in run_training(FakeHistory(), Path(sys.argv[1]), plan.at):
    print(encode_record(record), file=told)
"""


def until(records: Callable[[], list[TrainingRecord]], wanted: Callable[[TrainingRecord], bool]) -> None:
    heard: list[TrainingRecord] = []

    def came() -> bool:
        heard.extend(records())
        return any(map(wanted, heard))

    wait_for(came, seconds=120, what="a record of the training")


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_killed_in_the_middle_and_near_the_end_the_model_in_use_stays_whole(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    shutil.copytree(first_training.folder, tmp_path, dirs_exist_ok=True)
    shelf, past = ModelRegistry(tmp_path), first_training.history
    first = next(record for record in first_training.records if isinstance(record, TrainingResult))
    shelf.activate(first.id, past.end_at, "so the test begins")
    child = SubprocessRunner((sys.executable, "-c", TRAINING_SCRIPT, str(tmp_path)))
    child.start(TrainingRequest(past.end_at - 3 * DAY))
    until(child.poll, lambda record: isinstance(record, TrainingProgress) and record.step > 0)
    threading.Event().wait(seconds)
    child.stop()
    (used,) = (one for one in shelf.active() if one.channel == "flow_rate")
    place = tmp_path / used.path
    assert load_litert_model(place, used.checksum).id == used.id
    assert {path.name for path in place.iterdir()} == {*MODEL_FILES, "manifest.json", "versions"}
    monkeypatch.setattr(channel_training, "decide", lambda *_: Decision(True, "so it was judged", {}))
    again = [
        record for record in run_training(past, tmp_path, past.end_at - 2 * DAY) if isinstance(record, TrainingResult)
    ]
    assert load_litert_model(place, again[0].checksum).id == again[0].id
    assert not list(place.rglob(".*.part"))
