from __future__ import annotations

import sys

import pytest

from services.trainer.plan import (
    Advance,
    Ended,
    Failed,
    Plan,
    Record,
    TooLittle,
    Trained,
    from_line,
    plan_from_text,
    plan_to_text,
    to_line,
)
from services.trainer.runner import ChildProcess
from tests.polling import wait_for

PLAN = Plan(60, ("001",), ("pressure",))
TELLS = """
import sys
from services.trainer.plan import Advance, to_line, plan_from_text
print(to_line(Advance(plan_from_text(sys.argv[1]).at, 9, None, "유량")), flush=True)
"""


def child(script: str) -> ChildProcess:
    runner = ChildProcess((sys.executable, "-c", script))
    runner.begin(PLAN)
    return runner


def all_of(runner: ChildProcess) -> list[Record]:
    records: list[Record] = []

    def ended() -> bool:
        records.extend(runner.poll())
        return Ended() in records

    wait_for(ended)
    return records


@pytest.mark.parametrize(
    "record",
    [
        Advance(1, 2, 3.5, "epoch"),
        TooLittle("001", "flow_rate", "유량"),
        Trained("001", "flow_rate", 1, "id", "path", "sum", 2, 3, False, "reason", {"mae": 0.1}),
        Failed("no memory"),
        Ended(),
    ],
)
def test_a_record_passes_the_pipe_unchanged(record: Record) -> None:
    assert from_line(to_line(record)) == record


def test_a_plan_passes_the_command_line_unchanged() -> None:
    assert plan_from_text(plan_to_text(PLAN)) == PLAN


def test_a_child_gets_the_plan_and_its_records_arrive() -> None:
    assert all_of(child(TELLS)) == [Advance(60, 9, None, "유량"), Ended()]


def test_a_child_that_dies_is_told_as_a_failure() -> None:
    records = all_of(child("import os; os._exit(9)"))
    assert records == [Failed("the training process ended with code 9"), Ended()]


def test_polling_never_waits_for_the_child_and_stopping_ends_it() -> None:
    runner = child("import threading; threading.Event().wait(600)")
    assert runner.poll() == []
    process = runner.child
    assert process is not None
    runner.stop()
    assert process.poll() is not None
