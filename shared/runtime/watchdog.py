"""Ends a process that receives nothing from the broker or makes no progress; its supervisor restarts it."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Callable

from shared.runtime.log import log

ROUND_SECONDS = 5.0
MAX_DEAF_ROUNDS = 8
"""Rounds in which a connected service received nothing, not even its own status; at most 45 s."""
UNHEALTHY_ROUNDS = 6
"""Rounds without progress after which the service counts as unhealthy."""
MAX_STUCK_ROUNDS = 120
"""Ten minutes: a step of a recovery takes seconds, and training runs in its own process."""


class Watchdog:
    """Counts rounds and not seconds: a process that was suspended for an hour missed none."""

    def __init__(
        self, name: str, client_id: str, on_round: Callable[[], object], connected: Callable[[], bool], seconds: float
    ) -> None:
        """`on_round` publishes something that the service receives itself; a round takes `seconds`."""
        self._name, self._network_thread = name, f"paho-mqtt-client-{client_id}"
        self._on_round, self._connected, self._seconds = on_round, connected, seconds
        self._deaf = self._idle = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the watchdog thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the present round: a network thread that ends after this does not count as dead."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def on_message(self) -> None:
        """Record that the service received a message; its own status may queue behind thousands of others."""
        self._deaf = 0

    def on_progress(self) -> None:
        """Record progress."""
        self._idle = 0

    @property
    def seconds_without_progress(self) -> float:
        """How long there was no progress; 0 while that is normal."""
        return self._idle * self._seconds if self._idle >= UNHEALTHY_ROUNDS else 0.0

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._deaf = self._deaf + 1 if self._connected() else 0
            self._idle += 1
            if self._deaf >= MAX_DEAF_ROUNDS:
                self._exit("nothing received from the broker")
            if self._idle >= MAX_STUCK_ROUNDS:
                self._exit("no progress")
            if not self._is_network_thread_alive():
                self._exit("the network thread ended")
            try:
                self._on_round()
            except Exception as error:
                log(self._name, "status_publish_failed", logging.ERROR, error)

    def _is_network_thread_alive(self) -> bool:
        return any(thread.name == self._network_thread for thread in threading.enumerate())

    def _exit(self, reason: str) -> None:
        log(self._name, "process_ended", logging.ERROR, reason=reason, deaf_rounds=self._deaf, idle_rounds=self._idle)
        faulthandler.dump_traceback()
        os._exit(70)
