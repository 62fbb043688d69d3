"""Announced works on the mains or the meter: while they last no anomaly is opened, and nothing is learned from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from shared.contract.messages import Anomaly, LocalizedText

KEPT = 50
"""Newest works that are remembered, so that a rebuilt watch is quiet where the first one was."""


class Works:
    """Works at one sensor; each is an anomaly of that kind, whose `cleared_at` says in advance when it ends."""

    def __init__(self, site: str, sensor: str) -> None:
        self.site, self.sensor = site, sensor
        self.spans: list[Anomaly] = []
        self._last_end: datetime | None = None
        """End of the last; None without any."""

    def announce(self, at: datetime, until: datetime) -> Iterator[Anomaly]:
        """Works from now until then; those that go on already end then instead, at once if that is now."""
        going_on = next((one for one in self.spans if one.state != "cleared"), None)
        if going_on is None and until <= at:
            return
        said = self._said(at, until) if going_on is None else replace(going_on, at=at, state="updated")
        said = replace(said, cleared_at=until, text=_text(self.sensor, until))
        if until <= at:
            said = replace(said, state="cleared")
        self.remember(said)
        yield said

    def remember(self, said: Anomaly) -> None:
        """Takes works as they were last said."""
        self.spans = [*(one for one in self.spans if one.id != said.id), said][-KEPT:]
        self._last_end = max((one.cleared_at for one in self.spans if one.cleared_at), default=None)

    def matter(self, at: datetime) -> bool:
        """Whether works may go on at a time, or their end is not said yet."""
        return self._last_end is not None and (at < self._last_end or self.spans[-1].state != "cleared")

    def on(self, at: datetime) -> bool:
        """Whether works go on at a time."""
        return any(one.opened_at <= at and (one.cleared_at is None or at < one.cleared_at) for one in self.spans)

    def end(self, at: datetime) -> Iterator[Anomaly]:
        """Says which are over."""
        for one in list(self.spans):
            if one.state != "cleared" and one.cleared_at is not None and one.cleared_at <= at:
                said = replace(one, state="cleared", at=one.cleared_at)
                self.remember(said)
                yield said

    def _said(self, at: datetime, until: datetime) -> Anomaly:
        id_ = f"{self.sensor}-works-{at:%Y%m%dT%H%M}"[-64:]
        return Anomaly(
            self.site, self.sensor, id_, at, "flow_rate", "system", "works", "opened", True, "info", at, until,
            None, None, LocalizedText("", ""),
        )  # fmt: skip


def _text(sensor: str, until: datetime) -> LocalizedText:
    return LocalizedText(
        f"{sensor} 작업 중: {until:%Y-%m-%d %H:%M}까지 경보를 새로 열지 않고, 이 날의 값은 학습하지 않습니다.",
        f"Works at {sensor}: until {until:%Y-%m-%d %H:%M} no alarm is opened, and these days are not learned from.",
    )
