from __future__ import annotations

import sys

import pytest

from services.trainer.runner import SubprocessRunner
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingEnded,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
    decode_record,
    decode_request,
    encode_record,
    encode_request,
)
from shared.contract.messages import LocalizedText
from shared.contract.texts import technical
from shared.models.training_result import TrainingResult
from tests.polling import wait_for

REQUEST = TrainingRequest(60, ("001",), ("pressure",))
TEXT = LocalizedText("유량", "flow")
CHILD_SCRIPT = """
import sys
from services.trainer.training_protocol import TrainingProgress, decode_request, encode_record
from shared.contract.messages import LocalizedText
text = LocalizedText("유량", "flow")
print(encode_record(TrainingProgress(decode_request(sys.argv[1]).at, 9, None, text)), flush=True)
"""


def child(script: str) -> SubprocessRunner:
    runner = SubprocessRunner((sys.executable, "-c", script))
    runner.start(REQUEST)
    return runner


def all_of(runner: SubprocessRunner) -> list[TrainingRecord]:
    records: list[TrainingRecord] = []

    def ended() -> bool:
        records.extend(runner.poll())
        return TrainingEnded() in records

    wait_for(ended)
    return records


@pytest.mark.parametrize(
    "record",
    [
        TrainingProgress(1, 2, 3.5, TEXT),
        InsufficientData("001", "flow_rate", TEXT),
        TrainingResult("001", "flow_rate", 1, "id", "path", "sum", 2, 3, False, TEXT, {"mae": 0.1}),
        TrainingFailed(technical("no memory")),
        TrainingEnded(),
    ],
)
def test_record_round_trip(record: TrainingRecord) -> None:
    assert decode_record(encode_record(record)) == record


def test_request_round_trip() -> None:
    assert decode_request(encode_request(REQUEST)) == REQUEST


def test_child_receives_the_request_and_sends_records() -> None:
    assert all_of(child(CHILD_SCRIPT)) == [TrainingProgress(60, 9, None, TEXT), TrainingEnded()]


def test_dead_child_is_reported_as_a_failure() -> None:
    records = all_of(child("import os; os._exit(9)"))
    failure, ended = records
    assert isinstance(failure, TrainingFailed)
    assert failure.text.en == "the training process ended with exit code 9"
    assert ended == TrainingEnded()


def test_poll_does_not_block_and_stop_ends_the_child() -> None:
    runner = child("import threading; threading.Event().wait(600)")
    assert runner.poll() == []
    process = runner.process
    assert process is not None
    runner.stop()
    assert process.poll() is not None
