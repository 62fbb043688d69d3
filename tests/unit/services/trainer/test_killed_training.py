"""A training process that is killed by SIGKILL leaves the model in use whole, and the next one does its work."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from services.forecaster.interpreter import open_model
from services.trainer import channel
from services.trainer.evaluation import Decision
from services.trainer.folder import FILES
from services.trainer.plan import Advance, Plan, Record, Trained
from services.trainer.runner import ChildProcess
from services.trainer.shelf import Shelf
from shared.domain.series import DAY
from tests.polling import wait_for
from tests.unit.services.trainer.short_site import FirstTraining, run

TRAINS = """
import os, sys
told = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # Keras prints there
from pathlib import Path
from services.trainer import channel
from services.trainer.evaluation import Decision
from services.trainer.plan import plan_from_text, to_line
from tests.unit.services.trainer.short_site import SimulatedPast, run
channel.decide = lambda *_: Decision(True, "so it was judged", {})
plan = plan_from_text(sys.argv[2])
for record in run(SimulatedPast(), Path(sys.argv[1]), plan.at):
    print(to_line(record), file=told)
"""


def until(records: Callable[[], list[Record]], wanted: Callable[[Record], bool]) -> None:
    heard: list[Record] = []

    def came() -> bool:
        heard.extend(records())
        return any(map(wanted, heard))

    wait_for(came, seconds=120, what="a record of the training")


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_killed_in_the_middle_and_near_the_end_the_model_in_use_stays_whole(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    shutil.copytree(first_training.folder, tmp_path, dirs_exist_ok=True)
    shelf, past = Shelf(tmp_path), first_training.past
    first = next(record for record in first_training.records if isinstance(record, Trained))
    shelf.use(first.id, past.end, "so the test begins")
    child = ChildProcess((sys.executable, "-c", TRAINS, str(tmp_path)))
    child.begin(Plan(past.end - 3 * DAY))
    until(child.poll, lambda record: isinstance(record, Advance) and record.step > 0)
    threading.Event().wait(seconds)
    child.stop()
    (used,) = (one for one in shelf.in_use() if one.channel == "flow_rate")
    place = tmp_path / used.path
    assert open_model(place, used.checksum).id == used.id
    assert {path.name for path in place.iterdir()} == {*FILES, "manifest.json", "versions"}
    monkeypatch.setattr(channel, "decide", lambda *_: Decision(True, "so it was judged", {}))
    again = [record for record in run(past, tmp_path, past.end - 2 * DAY) if isinstance(record, Trained)]
    assert open_model(place, again[0].checksum).id == again[0].id
    assert not list(place.rglob(".*.part"))
