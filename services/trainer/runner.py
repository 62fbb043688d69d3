"""Who trains: a child process at low priority (live), or the caller itself (replay, tests)."""

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


class Runner(Protocol):
    """Starts a run and tells what has come of it since it was last asked."""

    def start(self, request: TrainingRequest) -> None: ...
    def poll(self) -> list[TrainingRecord]:
        """Records since the last poll; the last one of a run is Ended."""
        ...


class InProcessRunner:
    """Trains in the calling process, to the end, at the first poll."""

    def __init__(self, train: Callable[[TrainingRequest], Iterable[TrainingRecord]]) -> None:
        self.train = train
        self.request: TrainingRequest | None = None

    def start(self, request: TrainingRequest) -> None:
        self.request = request

    def poll(self) -> list[TrainingRecord]:
        plan, self.request = self.request, None
        return [] if plan is None else [*self.train(plan), TrainingEnded()]


class SubprocessRunner:
    """Trains in a child, so that TensorFlow's memory is given back and the service goes on meanwhile."""

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
        child = self.process
        if child is None or child.stdout is None:
            return []
        ended = child.poll()
        while (chunk := child.stdout.read(65_536)) not in (None, b""):
            self.partial_line += chunk
        *lines, self.partial_line = self.partial_line.split(b"\n")
        records = [decode_record(line.decode()) for line in lines]
        if ended is None:
            return records
        child.stdout.close()
        self.process = None
        return [
            *records,
            *([TrainingFailed(f"the training process ended with code {ended}")] if ended else []),
            TrainingEnded(),
        ]

    def stop(self) -> None:
        """Ends the child; what it had begun is left behind unfinished, the model in use is not touched."""
        if self.process:
            self.process.kill()
            self.process.wait()
