from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.forecaster.service import Forecaster
from shared.contract.messages import (
    SCORED_HORIZONS,
    Channel,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Reading,
    Score,
)
from shared.domain.features import ModelInputs, Scaler
from shared.domain.forecast_point import ForecastPoint
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.domain.sensor_liveness import BACKLOG_PAUSE_TICKS
from shared.domain.series import HOUR, Floats, Series
from tests.unit.factories import START, minute_at, prediction, reading, tick

SEOUL = ZoneInfo("Asia/Seoul")
SCALER = Scaler(10.0, 5.0)
NOW = int(START.timestamp())
WEEK_MINUTES = 7 * 24 * 60


@dataclass
class FakeHistory:
    """History that a test writes by hand: one sensor's readings, and its newest prediction."""

    series: Series = field(default_factory=lambda: series([]))
    last_issued: int | None = None
    missed: list[int] = field(default_factory=list)
    newest: Prediction | None = None
    stored: list[Prediction] = field(default_factory=list)
    """Predictions whose forecasts and scores are stored."""
    live: int | None = None
    """Readings from this second on are the meter's, those before imported; None: those after the newest prediction."""

    def sensors(self) -> list[str]:
        return ["001"] if len(self.series) else []

    def reading_range(self, sensor: str) -> tuple[int, int] | None:
        return (int(self.series.at[0]), int(self.series.at[-1])) if len(self.series) and sensor == "001" else None

    def readings(self, sensor: str, start: int, stop: int) -> Series:
        part = (self.series.at >= start) & (self.series.at < stop) & (sensor == "001")
        return Series(self.series.at[part], self.series.flow_rate[part], self.series.pressure[part])

    def hours_without_forecast(self, sensor: str, start: int, stop: int) -> list[int]:  # noqa: ARG002
        live = self.live if self.live is not None else self.last_issued
        hours = {at // HOUR * HOUR for at in self.series.at.tolist() if live is not None and at >= live}
        later = {hour for hour in hours if self.last_issued is None or hour > self.last_issued}
        return sorted(hour for hour in {*self.missed, *later} if start <= hour < stop)

    def last_issued_at(self, sensor: str) -> int | None:
        return self.last_issued if sensor == "001" else None

    def prediction_at(self, sensor: str) -> Prediction | None:
        return self.newest if sensor == "001" else None

    def forecasts_for_hours(self, sensor: str, start: int, stop: int) -> list[ForecastPoint]:
        found = []
        for one in self.stored:
            issued = int(one.issued_at.timestamp())
            for channel, week in (("flow_rate", one.flow_rate), ("pressure", one.pressure)):
                for k in SCORED_HORIZONS if week.p50 else ():
                    quantiles = (week.p10[k], week.p50[k], week.p90[k])
                    found.append(ForecastPoint(channel, issued, issued + k * HOUR, week.model, *quantiles))  # type: ignore[arg-type]
        return [one for one in found if sensor == "001" and start <= one.at < stop]

    def scores(self, sensor: str, start: int, stop: int) -> list[Score]:
        found = [score for one in self.stored for score in one.scores if sensor == "001"]
        return [score for score in found if start <= score.at.timestamp() < stop]


@dataclass
class FakeModel:
    """Adds so many scales to the profile."""

    id: str = "model-1"
    added: float = 2.0
    scaler: Scaler = SCALER

    def predict(self, inputs: ModelInputs) -> Floats:
        return np.full((len(inputs.base), 3), self.added)


class FakeModelLoader:
    """Models by folder."""

    def __init__(self, models: dict[str, FakeModel] | None = None) -> None:
        self.models = models or {}

    def __call__(self, path: str, checksum: str = "") -> FakeModel | None:  # noqa: ARG002
        return self.models.get(path)


def series(readings: Iterable[Reading]) -> Series:
    rows = [(int(one.at.timestamp()), one.flow_rate, one.pressure) for one in readings]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def flow(minute: float) -> float:
    """m³/h: a daily wave around 10."""
    return 10 + 3 * float(np.sin((NOW // 60 + minute) * np.pi / 720))


def minutes(start: int, stop: int) -> list[Reading]:
    return [reading(minute, flow(minute)) for minute in range(start, stop)]


def make_forecaster(past: FakeHistory | None = None, shelf: FakeModelLoader | None = None) -> Forecaster:
    return Forecaster("site1", SEOUL, past or FakeHistory(), shelf or FakeModelLoader(), NO_HOLIDAYS)


def handle_all(service: Forecaster, messages: Sequence[Message]) -> list[Prediction]:
    out = [said for message in messages for said in service.handle(message)]
    assert all(isinstance(message, Prediction) for message in out)
    return [message for message in out if isinstance(message, Prediction)]


def in_event_time(readings: Iterable[Reading], last: int) -> list[Message]:
    """Each minute its readings, then its tick."""
    by_minute: dict[object, list[Message]] = {}
    for one in readings:
        by_minute.setdefault(one.at, []).append(one)
    return [message for minute in range(last) for message in (*by_minute.get(minute_at(minute), []), tick(minute))]


def trained(promoted: bool = True, channel: Channel = "flow_rate") -> ModelTrained:
    path = "output/Learning_lstm/flow_rate/001"
    return ModelTrained("site1", "001", START, channel, "model-1", path, "0" * 64, START, START, {}, promoted, "")


def test_a_sensors_first_reading_gets_an_empty_forecast_of_its_hour() -> None:
    (first,) = handle_all(make_forecaster(), [reading(17)])
    assert first.issued_at == minute_at(0)
    assert first.flow_rate.p50 == first.pressure.p90 == ()


def test_a_restart_ends_with_the_newest_forecast_so_that_it_is_the_retained_one() -> None:
    past = FakeHistory(series(minutes(0, 150)), NOW + 2 * HOUR, [NOW + HOUR], prediction(120))
    said_at_start = [one for one in make_forecaster(past).start() if isinstance(one, Prediction)]
    assert [one.issued_at for one in said_at_start] == [minute_at(60), minute_at(120)]
    assert said_at_start[-1] == prediction(120)


def test_each_full_hour_is_forecast_once_when_its_last_minute_has_closed() -> None:
    service = make_forecaster()
    assert [one.issued_at for one in handle_all(service, in_event_time(minutes(0, 59), 59))] == [minute_at(0)]
    assert handle_all(service, [reading(59, 10.0)]) == []
    assert [one.issued_at for one in handle_all(service, [tick(59)])] == [minute_at(60)]
    assert handle_all(service, [reading(60, 10.0), tick(60)]) == []


def test_a_forecast_has_169_values_of_both_channels_with_four_decimals() -> None:
    service = make_forecaster()
    *_, last = handle_all(service, minutes(0, 3 * 24 * 60 + 1))
    assert [len(q) for q in (last.flow_rate.p10, last.flow_rate.p50, last.pressure.p50, last.pressure.p90)] == [169] * 4
    assert all(value is not None and round(value, 4) == value for value in last.flow_rate.p50)
    expected = [flow(3 * 24 * 60 + 60 * hour + 29.5) for hour in range(169)]
    assert [value or 0.0 for value in last.flow_rate.p50] == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    "gap", [7, 200, 3 * 24 * 60, 9 * 24 * 60], ids=["minutes", "hours", "days", "more than a week"]
)
def test_the_same_predictions_come_whether_ticks_run_far_ahead_or_in_event_time(gap: int) -> None:
    readings = [*minutes(0, 1501), *minutes(1501 + gap, 1501 + gap + 400)]
    readings.insert(700, reading(333, 99.0))
    end = 1501 + gap + 400
    far_ahead: list[Message] = []
    for one in readings:
        far_ahead += [one, tick(900_000)] if one.at.minute % 7 == 0 else [one]
    in_time = handle_all(make_forecaster(), in_event_time(readings, end))
    drained = handle_all(make_forecaster(), far_ahead)
    assert in_time == drained
    assert len({one.issued_at for one in drained}) == len(drained)


def test_a_channel_that_is_always_absent_is_not_forecast() -> None:
    service = make_forecaster()
    *_, last = handle_all(service, [reading(minute, flow(minute), None) for minute in range(600)])
    assert last.flow_rate.p50
    assert last.pressure.p50 == ()


def test_a_silent_sensor_is_forecast_for_a_week_and_no_longer() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 300))
    issued = [
        one.issued_at for one in handle_all(service, [tick(minute) for minute in range(300, 300 + 2 * WEEK_MINUTES)])
    ]
    assert issued == [minute_at(300 + 60 * hour) for hour in range(len(issued))]
    assert issued[-1] == minute_at(240 + 168 * 60)


def test_readings_that_come_late_each_minute_still_have_their_hour_forecast_before_they_are_judged() -> None:
    service = make_forecaster()
    late = [message for minute in range(180) for message in (tick(minute + 3), reading(minute, flow(minute)))]
    assert [one.issued_at for one in handle_all(service, late)] == [minute_at(0), minute_at(60), minute_at(120)]


def test_an_hour_with_fewer_than_thirty_known_minutes_is_unknown() -> None:
    few, enough = make_forecaster(), make_forecaster()
    handle_all(few, [*minutes(0, 180), *minutes(180, 209)])
    handle_all(enough, [*minutes(0, 180), *minutes(180, 210)])
    assert np.isnan(few.hourly_histories["001"].window_before(NOW // 3600 + 4)[0]["flow_rate"][-1])
    assert enough.hourly_histories["001"].window_before(NOW // 3600 + 4)[0]["flow_rate"][-1] == pytest.approx(
        flow(194.5), abs=0.01
    )


def test_the_first_of_two_readings_of_a_minute_counts() -> None:
    service = make_forecaster()
    handle_all(
        service,
        [
            message
            for one in minutes(0, 60)
            for message in (one, reading((one.at - START) / timedelta(minutes=1), 99.0))
        ],
    )
    assert service.hourly_histories["001"].window_before(NOW // 3600 + 1)[0]["flow_rate"][-1] < 20


def test_a_late_reading_changes_no_issued_forecast_but_is_remembered() -> None:
    service = make_forecaster()
    handle_all(service, [*minutes(0, 20), *minutes(60, 130)])
    assert handle_all(service, minutes(20, 60)) == []
    assert not np.isnan(service.hourly_histories["001"].window_before(NOW // 3600 + 2)[0]["flow_rate"][-2])


def test_one_reading_with_a_clock_far_ahead_stops_no_forecast() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 90))
    assert handle_all(service, [reading(50_000, 99.0)]) == []
    assert [one.issued_at for one in handle_all(service, in_event_time(minutes(90, 200), 200)[180:])] == [
        minute_at(120),
        minute_at(180),
    ]


def test_hours_missed_while_it_was_off_are_caught_up_at_the_start() -> None:
    stored = minutes(0, 3000)
    never_off = handle_all(make_forecaster(), stored)
    kept = [one for one in never_off if one.issued_at <= minute_at(2400)]
    past = FakeHistory(series(stored), int(minute_at(2400).timestamp()), stored=kept)
    caught_up = list(make_forecaster(past).start())
    assert caught_up == [one for one in never_off if one.issued_at > minute_at(2400)]


def test_a_long_time_off_leaves_what_a_long_time_on_would_have() -> None:
    """Weeks of it, with a pause of two days and a silence of ten."""
    day = 24 * 60
    stored = [*minutes(0, 9 * day), *minutes(11 * day, 20 * day), *minutes(30 * day, 32 * day)]
    never_off = handle_all(make_forecaster(), stored)
    kept = [one for one in never_off if one.issued_at <= minute_at(day)]
    caught_up = list(make_forecaster(FakeHistory(series(stored), int(minute_at(day).timestamp()), stored=kept)).start())
    assert caught_up == never_off[len(kept) :]
    ends = [one.issued_at for one in never_off if minute_at(20 * day) <= one.issued_at <= minute_at(30 * day)]
    assert len(ends) == 7 * 24 + 1


def test_a_start_before_its_first_forecast_is_stored_says_every_hour_again() -> None:
    """Readings are stored, forecasts still on their way: the same come again, and are scored."""
    readings = minutes(0, 3000)
    never_off = handle_all(make_forecaster(), readings)
    restarted = make_forecaster(FakeHistory(series(readings[:2000]), live=NOW))
    again = [one for one in restarted.start() if isinstance(one, Prediction)]
    assert [*again, *handle_all(restarted, readings[2000:])] == never_off


def test_a_first_start_on_imported_history_forecasts_the_present_hour() -> None:
    past = FakeHistory(series(minutes(0, 3000)))
    (now,) = make_forecaster(past).start()
    assert isinstance(now, Prediction)
    assert now.issued_at == minute_at(2940)
    assert now.flow_rate.p50


def test_after_a_restart_it_goes_on_as_if_it_had_never_been_off() -> None:
    readings = minutes(0, 6000)
    never_off = handle_all(make_forecaster(), readings)
    kept = [one for one in never_off if one.issued_at <= minute_at(4320)]
    past = FakeHistory(series(readings[:4321]), int(minute_at(4320).timestamp()), stored=kept)
    restarted = make_forecaster(past)
    assert list(restarted.start()) == []
    assert handle_all(restarted, readings[4300:]) == [one for one in never_off if one.issued_at > minute_at(4320)]


def test_imported_history_is_learned_from_when_the_import_is_done() -> None:
    past = FakeHistory()
    service = make_forecaster(past)
    handle_all(service, minutes(9000, 9030))
    past.series = series(minutes(0, 9000))
    handle_all(service, [Progress("site1", START, "import", 3, 3, None, "")])
    (first,) = handle_all(service, [*minutes(9030, 9060), tick(9059)])
    assert [value or 0.0 for value in first.flow_rate.p50[:24]] == pytest.approx(
        [flow(9060 + 60 * hour + 29.5) for hour in range(24)], abs=0.2
    )


def test_a_promoted_model_is_taken_up_at_once_and_named() -> None:
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW))
    list(service.start())
    service.load_model = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel()})
    (before,) = handle_all(service, [*minutes(0, 60), tick(59)])
    (after,) = handle_all(service, [trained(), *minutes(60, 120), tick(119)])
    assert (before.flow_rate.model, before.pressure.model) == ("profile", "profile")
    assert (after.flow_rate.model, after.pressure.model) == ("model-1", "profile")
    assert (after.flow_rate.p50[0] or 0) > flow(149.5) + 0.05


def test_a_model_that_was_not_promoted_is_left_alone() -> None:
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW))
    list(service.start())
    service.load_model = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel()})
    (after,) = handle_all(service, [trained(promoted=False), *minutes(0, 60), tick(59)])
    assert after.flow_rate.model == "profile"


def test_a_model_that_cannot_be_opened_leaves_the_old_one_in_use() -> None:
    shelf = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel("old")})
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW), shelf)
    list(service.start())
    shelf.models.clear()
    (after,) = handle_all(service, [trained(), *minutes(0, 60), tick(59)])
    assert after.flow_rate.model == "old"


def test_the_profile_is_taken_up_at_once_unless_a_model_serves_again_by_now() -> None:
    shelf = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel("old")})
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW), shelf)
    list(service.start())
    (stale,) = handle_all(service, [replace(trained(), id="profile", checksum=""), *minutes(0, 60), tick(59)])
    shelf.models.clear()
    (after,) = handle_all(service, [replace(trained(), id="profile", checksum=""), *minutes(60, 120), tick(119)])
    assert (stale.flow_rate.model, after.flow_rate.model) == ("old", "profile")


def test_the_newest_model_is_in_use_from_the_start() -> None:
    shelf = FakeModelLoader({"output/Learning_lstm/pressure/001": FakeModel("newest")})
    (first,) = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW - 3600 - 3600), shelf).start()
    assert isinstance(first, Prediction)
    assert (first.flow_rate.model, first.pressure.model) == ("profile", "newest")


def test_with_too_little_known_of_two_weeks_the_profile_forecasts() -> None:
    shelf = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel()})
    (first,) = make_forecaster(FakeHistory(series(minutes(-WEEK_MINUTES, 0)), NOW - 7200), shelf).start()
    assert isinstance(first, Prediction)
    assert first.flow_rate.model == "profile"


def test_a_flow_that_is_never_negative_is_never_forecast_below_zero() -> None:
    service = make_forecaster()
    noise = np.random.default_rng(1).exponential(1.0, 3 * 24)
    *_, last = handle_all(service, [reading(minute, float(noise[minute // 60])) for minute in range(3 * 24 * 60)])
    assert min(value for value in last.flow_rate.p10 if value is not None) >= 0


def test_a_tick_of_another_year_ends_no_hour_of_a_sensor_that_pauses() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 100), 100))
    year = 365 * 24 * 60
    assert handle_all(service, [tick(year + minute) for minute in range(19)]) == []
    assert [one.issued_at for one in handle_all(service, [tick(year + 19), tick(year + 20)])] == [minute_at(120)]
    assert [one.issued_at for one in handle_all(service, minutes(121, 181))] == [minute_at(180)]


def test_a_meter_that_was_set_back_a_year_is_forecast_again() -> None:
    service, year = make_forecaster(), 365 * 24 * 60
    handle_all(service, in_event_time(minutes(year, year + 100), year + 100)[year:])
    assert handle_all(service, in_event_time(minutes(0, 59), 59)) == []
    found = handle_all(service, in_event_time(minutes(59, 200), 200)[59:])
    assert [one.issued_at for one in found] == [minute_at(0), minute_at(60), minute_at(120), minute_at(180)]


def test_late_readings_that_were_known_turn_nothing_back() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 400), 400))
    assert handle_all(service, minutes(0, 200)) == []
    assert [one.issued_at for one in handle_all(service, minutes(400, 421))] == [minute_at(420)]


def test_hours_that_history_lacks_are_made_up_for_as_they_would_have_been() -> None:
    readings = minutes(0, 3 * 24 * 60)
    undisturbed = {one.issued_at: one for one in handle_all(make_forecaster(), readings)}
    lost = [50, 51, 60]
    kept = [one for issued_at, one in undisturbed.items() if issued_at not in [minute_at(60 * hour) for hour in lost]]
    past = FakeHistory(series(readings), NOW + 71 * HOUR, [NOW + hour * HOUR for hour in lost], stored=kept)
    service = make_forecaster(past)
    made = [message for message in service.start() if isinstance(message, Prediction)]
    assert made == [undisturbed[minute_at(60 * hour)] for hour in lost]
    assert service.oldest_missing_output() == f"001 {minute_at(50 * 60).isoformat()}"


def test_a_backlog_that_stands_still_is_not_forecast_beyond_its_newest_reading() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 3 * 24 * 60))
    day = 24 * 60
    assert handle_all(service, [tick(30 * day + minute) for minute in range(BACKLOG_PAUSE_TICKS)]) == []
    assert handle_all(service, [tick(31 * day)]) != []
