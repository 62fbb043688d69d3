"""Who trains: a child process at low priority (live), or the caller itself (replay, tests)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from services.trainer.plan import Ended, Failed, Plan, Record, from_line, plan_to_text


class Runner(Protocol):
    """Starts a run and tells what has come of it since it was last asked."""

    def begin(self, plan: Plan) -> None: ...
    def poll(self) -> list[Record]:
        """Records since the last poll; the last one of a run is Ended."""
        ...


class InProcess:
    """Trains in the calling process, to the end, at the first poll."""

    def __init__(self, train: Callable[[Plan], Iterable[Record]]) -> None:
        self.train = train
        self.plan: Plan | None = None

    def begin(self, plan: Plan) -> None:
        self.plan = plan

    def poll(self) -> list[Record]:
        plan, self.plan = self.plan, None
        return [] if plan is None else [*self.train(plan), Ended()]


class ChildProcess:
    """Trains in a child, so that TensorFlow's memory is given back and the service goes on meanwhile."""

    def __init__(self, command: Sequence[str] = (sys.executable, "-m", "services.trainer.main", "job")) -> None:
        self.command = command
        self.child: subprocess.Popen[bytes] | None = None
        self.partial = b""

    def begin(self, plan: Plan) -> None:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
        self.partial = b""
        self.child = subprocess.Popen([*self.command, plan_to_text(plan)], stdout=subprocess.PIPE, env=environment)
        assert self.child.stdout
        os.set_blocking(self.child.stdout.fileno(), False)

    def poll(self) -> list[Record]:
        child = self.child
        if child is None or child.stdout is None:
            return []
        ended = child.poll()
        while (chunk := child.stdout.read(65_536)) not in (None, b""):
            self.partial += chunk
        *lines, self.partial = self.partial.split(b"\n")
        records = [from_line(line.decode()) for line in lines]
        if ended is None:
            return records
        child.stdout.close()
        self.child = None
        return [*records, *([Failed(f"the training process ended with code {ended}")] if ended else []), Ended()]

    def stop(self) -> None:
        """Ends the child; what it had begun is left behind unfinished, the model in use is not touched."""
        if self.child:
            self.child.kill()
            self.child.wait()
