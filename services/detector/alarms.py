"""Flags become alarms with a life: opened, updated each hour or when worse, cleared after a calm while."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.detector.findings import SEVERITIES, Finding, key_of
from services.detector.sentences import WORDINGS, Loss, Wording, sentence
from shared.contract.messages import Anomaly, Kind, LocalizedText

UPDATED_EACH = timedelta(hours=1)
PATIENCE = 60
"""Minutes that a mere deviation waits whether it becomes something clearer."""
CALM: dict[Kind, int] = {
    "silence": 1,
    "stuck": 5,
    "out_of_range": 10,
    "clock": 60,
    "spike": 30,
    "step": 90,
    "burst": 90,
    "pressure_drop": 90,
    "deviation": 90,
    "leak": 1,
}
"""Calm minutes (for a leak: nights) after which an anomaly is cleared."""
SURE = 3.0
"""Times the half width of its interval from which on the size of a leak is beyond doubt."""
WORKING = timedelta(hours=8)
"""Mains are flushed, fires put out, pools filled and fields watered within these."""
IN_FULL = 0.6
"""Part of its mean so far in m³/h: a broken main loses as much at night, more demand is less then."""
NAMEABLE = ("step", "pressure_drop")
WAITING_KINDS = ("deviation",)
ALIKE = 2.0
"""Factor within which two sizes in m³/h are of the same water."""
DAILY = ("night", "last_night", "flow_rate.drift", "pressure.drift")
"""Keys of what is judged once a day, not each minute."""


@dataclass
class Alarm:
    """An open anomaly, as it was last said, and what has come since."""

    said: Anomaly
    key: str
    excess: float | None = None
    calm: int = 0
    minutes: int = 0
    total: float = 0.0
    doubt: float | None = None
    since: int = 0
    wording: Wording | None = None
    water: float | None = None
    sure: bool = False
    """Whether a leak is beyond doubt: another night must confirm its end."""
    by_night: bool = False
    """Whether it was there in the calmest hours in full."""


class Alarms:
    """Open anomalies of one sensor."""

    def __init__(self, site: str, sensor: str) -> None:
        self.site, self.sensor = site, sensor
        self.open: dict[str, Alarm] = {}
        self._waiting: dict[str, tuple[Finding, int]] = {}
        self.quiet = False
        """Works go on: nothing is opened."""

    @property
    def unnamed(self) -> bool:
        """Whether what is unusual may be called a burst yet."""
        alarm = self.open.get("usual")
        return alarm is not None and alarm.said.kind in NAMEABLE

    def in_full(self, at: datetime, excess: float, night: bool) -> Iterator[Anomaly]:
        """Takes a minute in which what began is still there, m³/h: a burst, after a calm night and a working day."""
        alarm = self.open["usual"]
        if excess * max(alarm.minutes, 1) < IN_FULL * alarm.total:
            return
        alarm.by_night = alarm.by_night or night
        if not alarm.by_night or at - alarm.said.opened_at < WORKING:
            return
        alarm.said, alarm.wording = replace(alarm.said, kind="burst", severity="critical"), None
        alarm.said = self._renewed(alarm, at)
        yield alarm.said

    @property
    def idle(self) -> bool:
        """Whether a minute without findings changes nothing."""
        return not self.open and not self._waiting

    def restore(self, anomaly: Anomaly) -> None:
        """Takes up an anomaly that was open before a restart."""
        named = anomaly.id.removeprefix(f"{self.sensor}-{anomaly.channel}-").split("-")[0]
        wording = next((one for one in WORDINGS if one == named and anomaly.kind == "step"), None)
        key = key_of(anomaly.channel, wording or anomaly.kind)
        self.open[key] = Alarm(anomaly, key, total=anomaly.excess_m3h or 0.0, minutes=1, wording=wording)

    def see(self, at: datetime, findings: list[Finding], near: bool) -> Iterator[Anomaly]:
        """Takes a minute's findings; near: the scores are still close to their limits, so nothing is calm."""
        findings = [finding for finding in findings if not self._is_of_leak(finding)]
        found = {finding.key for finding in findings}
        if self.quiet:
            self._waiting.clear()
        for finding in findings:
            yield from self.found(at, finding)
        for key in [key for key in self._waiting if key not in found]:
            if not near:
                del self._waiting[key]
        for key in [key for key in self.open if key not in found and key not in DAILY]:
            if key != "usual" or not near:
                yield from self.calm(at, key)

    def found(self, at: datetime, finding: Finding) -> Iterator[Anomaly]:
        """Opens or continues the anomaly of a finding."""
        alarm = self.open.get(finding.key)
        if (
            alarm
            and alarm.said.kind in WAITING_KINDS
            and finding.kind not in WAITING_KINDS
            and at > alarm.said.opened_at
        ):
            del self.open[finding.key]
            yield self._cleared(alarm, at)
            alarm = None
        if alarm is None and self.quiet:
            return
        if alarm is None:
            first, minutes = self._waiting.get(finding.key, (finding, 0))
            if finding.kind in WAITING_KINDS and minutes < PATIENCE:
                self._waiting[finding.key] = (_clearer(first, finding), minutes + 1)
                return
            self._waiting.pop(finding.key, None)
            yield self._open(at, finding)
        elif at > alarm.said.opened_at:
            yield from self._continue(at, alarm, finding)

    def calm(self, at: datetime, key: str) -> Iterator[Anomaly]:
        """Counts a calm minute (a leak: night) of an open anomaly, and clears it after enough of them."""
        alarm = self.open[key]
        alarm.calm += at >= alarm.said.opened_at or alarm.said.kind == "silence"
        if alarm.calm >= CALM[alarm.said.kind] + alarm.sure:
            del self.open[key]
            yield self._cleared(alarm, max(at, alarm.said.opened_at))

    def clear(self, at: datetime, key: str) -> Iterator[Anomaly]:
        """Clears an anomaly at once, if it is open."""
        if alarm := self.open.pop(key, None):
            yield self._cleared(alarm, max(at, alarm.said.opened_at))

    def merge(self, opened: Anomaly) -> Iterator[Anomaly]:
        """Clears last night's alarm once another tells of the same water: half to twice as much."""
        before, flow = self.open.get("last_night"), opened.excess_m3h or 0.0
        if before and _alike(before.said.excess_m3h or 0.0, flow):
            yield from self.clear(opened.at, "last_night")

    def lasts(self, at: datetime, leak: Finding) -> Iterator[Anomaly]:
        """Opens or continues a leak: it takes the place of a step of as much, and waits for the end of all else."""
        unusual = None if self.quiet else self.open.get("usual")
        if unusual and unusual.said.kind == "step" and _alike(unusual.said.excess_m3h or 0.0, leak.flow or 0.0):
            yield from self.clear(at, "usual")
        if leak.key in self.open or "usual" not in self.open:
            yield from self.found(at, leak)
        if alarm := self.open.get(leak.key):
            alarm.sure = alarm.sure or (leak.flow or 0.0) >= SURE * (leak.doubt or math.inf)

    def _is_of_leak(self, finding: Finding) -> bool:
        """Whether flow is up by no more than an open leak may have grown to."""
        leak, flow = self.open.get("night"), finding.flow or 0.0
        if leak is None or finding.key != "usual" or finding.channel != "flow_rate" or finding.key in self.open:
            return False
        return 0.0 < flow <= (leak.said.excess_m3h or 0.0) * ALIKE

    def turn_back(self, at: datetime) -> Iterator[Anomaly]:
        """Clears what was opened after `at`: the meter's clock has come back from there, and won't pass it for long."""
        for key in [key for key, alarm in self.open.items() if alarm.said.opened_at > at]:
            alarm = self.open.pop(key)
            yield self._cleared(alarm, alarm.said.opened_at)

    def leave(self, first: datetime, last: datetime) -> Iterator[Anomaly]:
        """Clears what was opened in a span of a wrong clock's time, at its end: the clock has come back from there."""
        for key in [key for key, alarm in self.open.items() if first <= alarm.said.opened_at <= last]:
            yield self._cleared(self.open.pop(key), last)

    def acknowledge(self, id_: str, at: datetime) -> Anomaly | None:
        """Marks an open anomaly as seen by an operator; None when none has that id."""
        for alarm in self.open.values():
            if alarm.said.id == id_:
                alarm.said = replace(self._renewed(alarm, at), acknowledged=True)
                return alarm.said
        return None

    def _cleared(self, alarm: Alarm, at: datetime) -> Anomaly:
        return replace(self._renewed(alarm, at), state="cleared", cleared_at=at)

    def _open(self, at: datetime, finding: Finding) -> Anomaly:
        name = f"{self.sensor}-{finding.channel}-{finding.wording or finding.kind}-{at:%Y%m%dT%H%M}"
        said = Anomaly(
            self.site, self.sensor, name[-64:], at, finding.channel, finding.method, finding.kind, "opened", False,
            finding.severity, at, None, finding.value, finding.flow, LocalizedText("", ""),
        )  # fmt: skip
        alarm = Alarm(said, finding.key, finding.excess, 0, 1, finding.flow or 0.0, finding.doubt, finding.since)
        alarm.wording, alarm.water = finding.wording, finding.water
        alarm.said = replace(said, text=self._text(alarm, said))
        self.open[finding.key] = alarm
        return alarm.said

    def _continue(self, at: datetime, alarm: Alarm, finding: Finding) -> Iterator[Anomaly]:
        said = alarm.said
        alarm.calm = 0
        if finding.water is not None:
            alarm.minutes, alarm.total, alarm.water = 1, finding.flow or 0.0, finding.water
        elif finding.flow is not None:
            alarm.minutes += 1
            alarm.total += finding.flow
        if finding.channel == said.channel:
            alarm.excess = finding.excess
            if _farther(finding.value, said.peak, finding.excess):
                alarm.said = said = replace(said, peak=finding.value)
        worse = SEVERITIES.index(finding.severity) > SEVERITIES.index(said.severity)
        if worse or at - said.at >= UPDATED_EACH:
            alarm.said = replace(self._renewed(alarm, at), severity=finding.severity if worse else said.severity)
            yield alarm.said

    def _renewed(self, alarm: Alarm, at: datetime) -> Anomaly:
        flow = None if alarm.said.excess_m3h is None else round(alarm.total / max(alarm.minutes, 1), 4)
        said = replace(alarm.said, at=at, state="updated", excess_m3h=flow)
        return replace(said, text=self._text(alarm, said))

    def _text(self, alarm: Alarm, said: Anomaly) -> LocalizedText:
        if said.kind == "clock" and alarm.excess is None:
            return said.text
        began = said.opened_at - timedelta(minutes=alarm.since)
        loss = Loss(said.excess_m3h, alarm.doubt, began, said.at, alarm.water)
        return sentence(alarm.wording or said.kind, self.sensor, said.channel, said.peak, alarm.excess, loss)


def _alike(one: float, other: float) -> bool:
    """Whether two flows, m³/h, are of the same water."""
    return other / ALIKE <= one <= other * ALIKE


def _clearer(first: Finding, now: Finding) -> Finding:
    """The one with the greater excess; what it is called is what came first."""
    return now if abs(now.excess or 0.0) > abs(first.excess or 0.0) and now.kind == first.kind else first


def _farther(value: float | None, peak: float | None, excess: float | None) -> bool:
    if value is None or excess is None:
        return False
    return peak is None or (value > peak if excess > 0 else value < peak)
