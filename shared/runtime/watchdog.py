"""Ends a process that no longer hears the broker, or whose work has come to a stand; its supervisor starts it anew."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Callable

from shared.runtime.log import log

ROUND_SECONDS = 5.0
MAX_DEAF_ROUNDS = 8
"""Rounds in which a connected service heard nothing, not even itself: at most 45 s after it became deaf it ends."""
UNHEALTHY_ROUNDS = 6
"""Rounds without a sign of the work, after which the service no longer counts as healthy."""
MAX_STUCK_ROUNDS = 120
"""Ten minutes: a part of a rebuild takes seconds, and trainings run in a process of their own."""


class Watchdog:
    """Counts rounds, not seconds: a process that was stopped for an hour has missed none."""

    def __init__(
        self, name: str, on_round: Callable[[], object], connected: Callable[[], bool], seconds: float
    ) -> None:
        """`beat` says something that the service should hear itself; a round takes so many seconds."""
        self._name, self._on_round, self._connected, self._seconds = name, on_round, connected, seconds
        self._deaf = self._idle = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begins to watch, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Watches no longer; a round that has begun is over: what ends after this doesn't seem to have died."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def on_message(self) -> None:
        """The service has heard something; its own beat may wait behind thousands of messages."""
        self._deaf = 0

    def on_progress(self) -> None:
        """The work goes on."""
        self._idle = 0

    @property
    def seconds_without_progress(self) -> float:
        """How long there was no sign of the work, 0 while that is usual."""
        return self._idle * self._seconds if self._idle >= UNHEALTHY_ROUNDS else 0.0

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._deaf = self._deaf + 1 if self._connected() else 0
            self._idle += 1
            if self._deaf >= MAX_DEAF_ROUNDS:
                self._exit("hears nothing through the broker")
            if self._idle >= MAX_STUCK_ROUNDS:
                self._exit("the work stands still")
            if not self._is_network_thread_alive():
                self._exit("the network thread has died")
            try:
                self._on_round()
            except Exception as error:
                log(self._name, "can't say that it is alive", logging.ERROR, error)

    def _is_network_thread_alive(self) -> bool:
        return any(thread.name == f"paho-mqtt-client-wvr-{self._name}" for thread in threading.enumerate())

    def _exit(self, why: str) -> None:
        log(self._name, f"{why}: ending", logging.ERROR, deaf_rounds=self._deaf, idle_rounds=self._idle)
        faulthandler.dump_traceback()
        os._exit(70)
