"""Looks up lines in stored history that the reporter missed while it was stopped or the broker lost messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from services.reporter.line_format import format_minute, key_to_time
from shared.contract.messages import FlowChecks, Prediction, PressureChecks, Reading, SensorState, Tick, Verdict
from shared.domain.series import DAY, HOUR, MINUTE


class HistoryReader(Protocol):
    """Stored history, read-only; epoch seconds, stop is exclusive."""

    def active_sensors(self) -> list[str]: ...
    def retired(self) -> set[str]: ...
    def stored_mark(self) -> tuple[str, int] | None: ...
    def is_gapless(self) -> bool: ...
    def reading_range(self, sensor: str) -> tuple[int, int] | None: ...
    def last_issued_at(self, sensor: str) -> int | None: ...
    def hours_without_forecast(self, sensor: str, start: int, stop: int) -> list[int]: ...
    def last_verdict(self, sensor: str) -> int | None: ...
    def readings_without_verdict(self, sensor: str, start: int, stop: int) -> Iterator[Reading]: ...
    def sensor_states(self, sensor: str) -> list[SensorState]: ...
    def verdicts(self, sensor: str, start: int, stop: int) -> Iterator[Verdict]: ...
    def prediction_at(self, sensor: str, issued_at: int | None = None) -> Prediction | None: ...


class HistoryLookup:
    """Looks up verdicts and forecasts by block and by minute key."""

    def __init__(self, history: HistoryReader, zone: ZoneInfo, days: int) -> None:
        self._history, self._zone, self._days = history, zone, days

    def missed_since(self, block: str) -> Iterator[Verdict | Prediction]:
        """Yield the verdicts of all sensors after a block in order of time, each full hour after its prediction.

        The predictions of future hours follow.
        """
        verdicts: list[Verdict] = []
        for sensor in self._history.active_sensors():
            newest = self._history.last_verdict(sensor)
            if newest is not None:
                start = self._end_of(block) if block else 0
                verdicts += self._history.verdicts(sensor, max(start, newest - self._days * DAY), newest + 1)
        yield from self._with_predictions(verdicts)
        for sensor in self._history.active_sensors():
            yield from self._forecasts_ahead(sensor)

    def sensors(self) -> set[str]:
        return set(self._history.active_sensors())

    def retired(self) -> set[str]:
        return self._history.retired()

    def messages_between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:
        """Return what `missed_since` yields up to another block, and whether it is final.

        It is not final while a reading there has no verdict, or no reading of the other block is stored.
        """
        stop = self._seconds_at(f"{block}0")
        reading_range = (max(self._end_of(sent), stop - self._days * DAY), stop)
        sensors = self._history.active_sensors()
        verdicts = [verdict for sensor in sensors for verdict in self._history.verdicts(sensor, *reading_range)]
        missing_verdict = any(
            True for sensor in sensors for _ in self._history.readings_without_verdict(sensor, *reading_range)
        )
        reached = any(
            stored_range[1] >= stop for sensor in sensors if (stored_range := self._history.reading_range(sensor))
        )
        return list(self._with_predictions(verdicts)), reached and not missing_verdict

    def is_behind(self, tick: Tick) -> bool:
        """Whether readings are missing in history: in a known gap, or published before a tick."""
        boot_id, seq = self._history.stored_mark() or ("", -1)
        return not self._history.is_gapless() or tick.seq > (seq if tick.boot_id == boot_id else -1)

    def _with_predictions(self, verdicts: list[Verdict]) -> Iterator[Verdict | Prediction]:
        for verdict in sorted(verdicts, key=lambda item: (item.at, item.sensor)):
            if verdict.at.minute == 0 and (
                prediction := self._history.prediction_at(verdict.sensor, _seconds(verdict.at))
            ):
                yield prediction
            yield verdict

    def _end_of(self, block: str) -> int:
        return self._seconds_at(f"{block}0") + 10 * MINUTE

    def latest_minute(self) -> str:
        """Return a minute that no closed block can exceed; empty if there is none.

        It is a day after the newest stored verdict.
        """
        newest = max((self._history.last_verdict(sensor) or 0 for sensor in self._history.active_sensors()), default=0)
        return format_minute(datetime.fromtimestamp(newest + DAY, self._zone)) if newest else ""

    def verdicts_before(self, sensor: str, at: datetime, minutes: int) -> Iterator[Verdict]:
        """Yield the stored verdicts of so many minutes up to a time, in order of time."""
        return self._history.verdicts(sensor, _seconds(at) - minutes * MINUTE, _seconds(at) + MINUTE)

    def sensor_states(self) -> list[SensorState]:
        return [state for sensor in self._history.active_sensors() for state in self._history.sensor_states(sensor)]

    def verdict_at(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:
        """Return the stored verdict of a minute, and whether it is final.

        It is not final if the reading is stored without a verdict; the returned verdict then has no flags.
        """
        at = self._seconds_at(minute)
        for verdict in self._history.verdicts(sensor, at, at + MINUTE):
            return verdict, True
        for reading in self._history.readings_without_verdict(sensor, at, at + MINUTE):
            return Verdict(
                site=reading.site,
                sensor=sensor,
                at=reading.at,
                reading=reading,
                flow_rate=FlowChecks(),
                pressure=PressureChecks(),
            ), False
        return None, True

    def forecast_at(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:
        """Return the stored prediction of a full hour, and whether it is final.

        It is not final while the hour has readings and no prediction.
        """
        at = self._seconds_at(minute)
        prediction = self._history.prediction_at(sensor, at)
        return prediction, prediction is not None or not self._history.hours_without_forecast(sensor, at, at + HOUR)

    def _forecasts_ahead(self, sensor: str) -> Iterator[Prediction]:
        """Yield the predictions of hours without verdicts: in a backlog the forecaster is ahead of the detector."""
        newest, issued = self._history.last_verdict(sensor), self._history.last_issued_at(sensor)
        if newest is not None and issued is not None:
            for hour in range(newest // HOUR * HOUR, issued + 1, HOUR):
                if prediction := self._history.prediction_at(sensor, hour):
                    yield prediction

    def _seconds_at(self, minute: str) -> int:
        return _seconds(key_to_time(minute, self._zone))


class NullHistoryLookup:
    """Null object for a replay: no message is ever lost."""

    def latest_minute(self) -> str:
        return ""

    def missed_since(self, block: str) -> Sequence[Verdict | Prediction]:  # noqa: ARG002
        return ()

    def sensors(self) -> set[str]:
        return set()

    def retired(self) -> set[str]:
        return set()

    def messages_between(self, sent: str, block: str) -> tuple[Sequence[Verdict | Prediction], bool]:  # noqa: ARG002
        return (), True

    def is_behind(self, tick: Tick) -> bool:  # noqa: ARG002
        return False

    def verdicts_before(self, sensor: str, at: datetime, minutes: int) -> Iterator[Verdict]:  # noqa: ARG002
        return iter(())

    def sensor_states(self) -> list[SensorState]:
        return []

    def verdict_at(self, sensor: str, minute: str) -> tuple[Verdict | None, bool]:  # noqa: ARG002
        return None, True

    def forecast_at(self, sensor: str, minute: str) -> tuple[Prediction | None, bool]:  # noqa: ARG002
        return None, True


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
