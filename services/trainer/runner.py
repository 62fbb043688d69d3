"""Runners of a training: a child process at low priority (live), or the calling process (replay, tests)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from services.trainer.training_protocol import (
    TrainingEnded,
    TrainingFailed,
    TrainingRecord,
    TrainingRequest,
    decode_record,
    encode_request,
)
from shared.contract.texts import localized


class Runner(Protocol):
    """Runs one training at a time."""

    def start(self, request: TrainingRequest) -> None: ...
    def poll(self) -> list[TrainingRecord]:
        """Return the records since the last poll; the last one of a training is TrainingEnded."""
        ...


class InProcessRunner:
    """Runs the whole training in the calling process at the first poll."""

    def __init__(self, train: Callable[[TrainingRequest], Iterable[TrainingRecord]]) -> None:
        self.train = train
        self.request: TrainingRequest | None = None

    def start(self, request: TrainingRequest) -> None:
        self.request = request

    def poll(self) -> list[TrainingRecord]:
        request, self.request = self.request, None
        return [] if request is None else [*self.train(request), TrainingEnded()]


class SubprocessRunner:
    """Runs the training in a child process, which returns TensorFlow's memory when it ends."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "services.trainer.main", "job")) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.partial_line = b""

    def start(self, request: TrainingRequest) -> None:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
        self.partial_line = b""
        self.process = subprocess.Popen(
            [*self.command, encode_request(request)], stdout=subprocess.PIPE, env=environment
        )
        assert self.process.stdout
        os.set_blocking(self.process.stdout.fileno(), False)

    def poll(self) -> list[TrainingRecord]:
        process = self.process
        if process is None or process.stdout is None:
            return []
        exit_code = process.poll()
        while (chunk := process.stdout.read(65_536)) not in (None, b""):
            self.partial_line += chunk
        *lines, self.partial_line = self.partial_line.split(b"\n")
        records = [decode_record(line.decode()) for line in lines]
        if exit_code is None:
            return records
        process.stdout.close()
        self.process = None
        text = localized(
            "학습 프로세스가 종료 코드 {code}번으로 끝났습니다",
            "the training process ended with exit code {code}",
            code=exit_code,
        )
        return [*records, *([TrainingFailed(text)] if exit_code else []), TrainingEnded()]

    def stop(self) -> None:
        """Kill the child process; its unfinished files remain, the active model is not changed."""
        if self.process:
            self.process.kill()
            self.process.wait()
