"""Judges every reading with four methods and keeps the alarms that follow from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import ClassVar

from services.detector.archive import UNJUDGED_DAYS, Archive, Rebuild, foresee
from services.detector.methods.prediction import first_hours
from services.detector.watch import Watch
from shared.contract.messages import (
    Anomaly,
    Command,
    Criteria,
    Message,
    Prediction,
    Progress,
    Reading,
    Response,
    Tick,
    Verdict,
)
from shared.domain.holiday_calendar import NO_HOLIDAYS, HolidayCalendar
from shared.domain.series import DAY
from shared.settings import Settings

MOST_HELD = 20_000
"""Readings of a sensor that wait for predictions; ingest sends no more ahead."""
MOST_HOURS = 24 * 60
"""Predictions that are remembered ahead of the readings."""
PATIENCE, BACKLOG_PATIENCE = 2, 10
"""Ticks that readings wait for the prediction of their hour: those of now, and those of a backlog.

There ticks may come at once, and a forecaster that lost something needs several to find it.
"""
BACKLOG = timedelta(hours=1)
"""From a tick's time; readings farther from it are no longer live."""

LONGEST_WORKS = 7 * 1440
"""Minutes that works may last; they may be announced again."""


class Post:
    """A watch, and the readings that wait for the prediction of their hour."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.held: deque[Reading] = deque()
        self.hour = -1
        """The hour since the epoch whose readings may pass."""
        self.waited = 0
        self.silent = 0
        """Ticks since the last reading."""
        self.judged = 0
        """Epoch seconds before which history has every verdict."""

    def come_back(self) -> None:
        """Forgets the hour of a reading that leapt ahead and was passed: predictions of hours before it are awaited."""
        if not self.held and self.watch.order.newest is not None:
            self.hour = min(self.hour, self.watch.order.newest // 60)


class Detector:
    """Consumes readings, predictions and ticks; a verdict says only what readings and predictions give."""

    name: ClassVar[str] = "detector"
    consumes: ClassVar[tuple[type[Message], ...]] = (Reading, Tick, Prediction, Progress, Command)
    produces: ClassVar[tuple[type[Message], ...]] = (Verdict, Anomaly, Criteria, Response)
    commands: ClassVar[tuple[str, ...]] = ("acknowledge", "silence")

    def __init__(self, settings: Settings, archive: Archive, calendar: HolidayCalendar = NO_HOLIDAYS) -> None:
        self._settings, self._archive, self._calendar = settings, archive, calendar
        self._posts: dict[str, Post] = {}
        self._last: datetime | None = None

    def start(self) -> Iterator[Message]:
        """Rebuilds each sensor from stored history; yields criteria, open anomalies and the verdicts that are owed."""
        yield from self._rebuild(afresh=False)

    def handle(self, message: Message) -> Iterator[Message]:
        if isinstance(message, Reading):
            return self._take(message)
        if isinstance(message, Prediction):
            return self._foresee(message)
        if isinstance(message, Tick):
            return self._tick(message.at)
        if isinstance(message, Command):
            return self._silence(message) if message.name == "silence" else self._acknowledge(message)
        if isinstance(message, Progress) and message.job == "import" and message.step == message.of > 0:
            return self._rebuild(afresh=True)
        return iter(())

    def end_batch(self) -> Iterator[Message]:
        return iter(())

    def oldest_missing_output(self) -> str:
        """The oldest stored reading without a verdict, or an anomaly that history takes for open; empty: nothing."""
        for sensor, post in self._posts.items():
            if span := self._archive.reading_range(sensor):
                since = max(span[1] - UNJUDGED_DAYS * DAY, post.judged)
                for reading in self._archive.readings_without_verdict(sensor, since, span[1] + 1):
                    return f"{sensor} {reading.at.isoformat()}"
                post.judged = span[1] - DAY
                known = {alarm.said.id for alarm in post.watch.alarms.open.values()}
                known |= {works.id for works in post.watch.works.spans}
                for anomaly in self._archive.anomalies(sensor, span[1]):
                    if anomaly.state != "cleared" and anomaly.id not in known:
                        return anomaly.id
        return ""

    def _rebuild(self, afresh: bool) -> Iterator[Message]:
        for sensor in self._archive.sensors():
            if self._settings.accepts_sensor(sensor):
                held = self._unstored(self._posts[sensor]) if sensor in self._posts else []
                post = self._posts[sensor] = Post(Watch(self._settings, sensor, self._calendar))
                rebuild = Rebuild(self._archive, self._settings.zone, post.watch)
                yield from rebuild.messages(afresh)
                for reading in (*rebuild.left, *held):
                    yield from self._take(reading)

    def _unstored(self, post: Post) -> list[Reading]:
        """What waits and is not in history: the rebuild judges what is, and taken once more it would be late."""
        if not post.held:
            return []
        stored = set(self._archive.readings(post.watch.sensor, *_span(post.held)).at.tolist())
        return [one for one in post.held if int(one.at.timestamp()) not in stored]

    def _take(self, reading: Reading) -> Iterator[Message]:
        post = self._posts.get(reading.sensor)
        if post is None:
            post = self._posts[reading.sensor] = Post(Watch(self._settings, reading.sensor, self._calendar))
        post.watch.silent_minutes, post.silent = post.silent or post.watch.silent_minutes, 0
        if post.held:
            post.held.append(reading)
            return self._too_many(post) if len(post.held) > MOST_HELD else iter(())
        post.come_back()
        minute = int(reading.at.timestamp()) // 60
        hour = minute // 60
        if hour <= post.hour or hour in post.watch.station.predictions:
            post.hour = max(hour, post.hour)
            return post.watch.take(reading, minute)
        post.held.append(reading)
        post.waited = 0
        return iter(())

    def _release(self, post: Post) -> Iterator[Message]:
        """Lets pass what waits, up to the first reading whose hour has no prediction yet."""
        while post.held:
            minute = int(post.held[0].at.timestamp()) // 60
            hour = minute // 60
            if hour > post.hour and hour not in post.watch.station.predictions:
                return
            if hour > post.hour:
                post.hour, post.waited = hour, 0
            yield from post.watch.take(post.held.popleft(), minute)

    def _too_many(self, post: Post) -> Iterator[Message]:
        """Readings don't wait for their predictions without limit."""
        post.hour = self._given_up(post, whole=False)
        return self._release(post)

    def _foresee(self, prediction: Prediction) -> Iterator[Message]:
        post = self._posts.get(prediction.sensor)
        if post is None:
            post = self._posts[prediction.sensor] = Post(Watch(self._settings, prediction.sensor, self._calendar))
        post.come_back()
        hour = int(prediction.issued_at.timestamp()) // 3600
        if hour > post.hour:
            foreseen = post.watch.station.predictions
            foreseen[hour] = first_hours(prediction)
            if len(foreseen) > MOST_HOURS:
                del foreseen[next(iter(foreseen))]
        return self._release(post)

    def _tick(self, at: datetime) -> Iterator[Message]:
        self._last = at
        for post in self._posts.values():
            post.silent += 1
            if post.held:
                post.waited += 1
                foresee(self._archive, post.watch, *_span(post.held))
                yield from self._release(post)
                is_backlog = bool(post.held) and abs(at - post.held[0].at) > BACKLOG
                if post.held and post.waited >= (BACKLOG_PATIENCE if is_backlog else PATIENCE):
                    post.hour = self._given_up(post, whole=is_backlog)
                    yield from self._release(post)
            if post.silent == self._settings.detection.silence_minutes:
                yield from post.watch.silent(at)

    def _given_up(self, post: Post, whole: bool) -> int:
        """The last hour that goes without a prediction: all before one that has its own, since they come in order;

        without such a one the first that waits, or all that wait.
        """
        first, last = (int(reading.at.timestamp()) // 3600 for reading in (post.held[0], post.held[-1]))
        later = [hour for hour in post.watch.station.predictions if first < hour <= last]
        return max(first, min(later) - 1 if later else last if whole else first)

    def _acknowledge(self, command: Command) -> Iterator[Message]:
        wanted = command.arguments.get("id", "")
        for post in self._posts.values():
            if self._last and (anomaly := post.watch.alarms.acknowledge(wanted, self._last)):
                yield anomaly
                yield Response(command.site, command.name, command.transaction, True, f"{wanted}: acknowledged")
                return
        text = f"no open anomaly has the id {wanted!r}"
        yield Response(command.site, command.name, command.transaction, False, text)

    def _silence(self, command: Command) -> Iterator[Message]:
        """Opens no anomaly for so many minutes, at one sensor or at all."""
        sensor, minutes = command.arguments.get("sensor", ""), command.arguments.get("minutes", "")
        posts = [post for name, post in self._posts.items() if sensor in ("", name)]
        text = ""
        if not (minutes.isascii() and minutes.isdigit() and int(minutes) <= LONGEST_WORKS):
            text = f"minutes must be 0 to {LONGEST_WORKS}, not {minutes!r}"
        elif not posts or self._last is None:
            text = f"no readings have come yet from {sensor or 'any sensor'}"
        else:
            until = self._last + timedelta(minutes=int(minutes))
            for post in posts:
                yield from post.watch.announce(self._last, until)
            said = f"no alarm is opened until {until:%Y-%m-%d %H:%M}" if int(minutes) else "alarms are opened again"
            yield Response(command.site, command.name, command.transaction, True, said)
            return
        yield Response(command.site, command.name, command.transaction, False, text)


def _span(held: Iterable[Reading]) -> tuple[int, int]:
    """Epoch seconds of the first of some readings and behind the last."""
    minutes = [int(reading.at.timestamp()) for reading in held]
    return min(minutes), max(minutes) + 1
