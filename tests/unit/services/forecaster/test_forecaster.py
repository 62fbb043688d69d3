from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from services.forecaster.service import Forecaster
from shared.contract.messages import (
    CHANNELS,
    SCORED_HORIZONS,
    Channel,
    Message,
    ModelTrained,
    Prediction,
    Progress,
    Reading,
    Score,
    SensorRetired,
    SensorState,
)
from shared.contract.service import Unavailable
from shared.contract.status_codes import problem
from shared.contract.texts import technical
from shared.domain.features import ModelInputs, Scaler
from shared.domain.forecast_point import ForecastPoint
from shared.domain.holiday_calendar import NO_HOLIDAYS
from shared.domain.sensor_liveness import BACKLOG_PAUSE_TICKS
from shared.domain.series import HOUR, Floats, Series
from shared.domain.value_ranges import UNBOUNDED, ValueRanges
from tests.unit.factories import START, minute_at, prediction, reading, tick

SEOUL = ZoneInfo("Asia/Seoul")
SCALER = Scaler(10.0, 5.0)
NOW = int(START.timestamp())
WEEK_MINUTES = 7 * 24 * 60


@dataclass
class FakeHistory:
    """History of one sensor: readings and predictions that a test sets."""

    series: Series = field(default_factory=lambda: series([]))
    last_issued: int | None = None
    missed: list[int] = field(default_factory=list)
    newest: Prediction | None = None
    stored: list[Prediction] = field(default_factory=list)
    """Predictions whose forecasts and scores are stored."""
    live: int | None = None
    """Readings before this time (epoch seconds) are imported; None: before the newest prediction."""

    def sensors(self) -> list[str]:
        return ["001"] if len(self.series) else []

    def retired(self) -> set[str]:
        return set()

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
        points = []
        for stored in self.stored:
            issued = int(stored.issued_at.timestamp())
            for channel, forecast in (("flow_rate", stored.flow_rate), ("pressure", stored.pressure)):
                for k in SCORED_HORIZONS if forecast.p50 else ():
                    quantiles = (forecast.p10[k], forecast.p50[k], forecast.p90[k])
                    points.append(ForecastPoint(channel, issued, issued + k * HOUR, forecast.model, *quantiles))  # type: ignore[arg-type]
        return [point for point in points if sensor == "001" and start <= point.at < stop]

    def scores(self, sensor: str, start: int, stop: int) -> list[Score]:
        scores = [score for stored in self.stored for score in stored.scores if sensor == "001"]
        return [score for score in scores if start <= score.at.timestamp() < stop]

    def sensor_states(self, sensor: str) -> list[SensorState]:  # noqa: ARG002
        return []


@dataclass
class FakeModel:
    """Adds a constant to the profile, in residual standard deviations."""

    id: str = "model-1"
    added: float = 2.0
    scaler: Scaler = SCALER

    def predict(self, inputs: ModelInputs) -> Floats:
        return np.full((len(inputs.base), 3), self.added)


class FakeModelLoader:
    """Loads models from a dict by folder."""

    def __init__(self, models: dict[str, FakeModel] | None = None) -> None:
        self.models = models or {}

    def __call__(self, path: str, checksum: str = "") -> FakeModel | None:  # noqa: ARG002
        return self.models.get(path)


def series(readings: Iterable[Reading]) -> Series:
    rows = [(int(entry.at.timestamp()), entry.flow_rate, entry.pressure) for entry in readings]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Series(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def flow(minute: float) -> float:
    """Return a flow rate in m³/h: a daily wave around 10."""
    return 10 + 3 * float(np.sin((NOW // 60 + minute) * np.pi / 720))


def minutes(start: int, stop: int) -> list[Reading]:
    return [reading(minute, flow(minute)) for minute in range(start, stop)]


def make_forecaster(
    history: FakeHistory | None = None, loader: FakeModelLoader | None = None, ranges: ValueRanges = UNBOUNDED
) -> Forecaster:
    return Forecaster("site1", SEOUL, history or FakeHistory(), loader or FakeModelLoader(), NO_HOLIDAYS, ranges)


def handle_all(service: Forecaster, messages: Sequence[Message]) -> list[Prediction]:
    outputs = [output for message in messages for output in service.handle(message)]
    assert all(isinstance(output, Prediction | SensorState) for output in outputs)
    return [output for output in outputs if isinstance(output, Prediction)]


def start(service: Forecaster) -> list[Prediction]:
    return [output for output in service.start() if isinstance(output, Prediction)]


def in_event_time(readings: Iterable[Reading], last: int) -> list[Message]:
    """Return for each minute its readings, then its tick."""
    by_minute: dict[object, list[Message]] = {}
    for entry in readings:
        by_minute.setdefault(entry.at, []).append(entry)
    return [message for minute in range(last) for message in (*by_minute.get(minute_at(minute), []), tick(minute))]


def trained(promoted: bool = True, channel: Channel = "flow_rate") -> ModelTrained:
    path = "output/Learning_lstm/flow_rate/001"
    return ModelTrained(
        site="site1",
        sensor="001",
        at=START,
        channel=channel,
        id="model-1",
        path=path,
        checksum="0" * 64,
        trained_from=START,
        trained_to=START,
        metrics={},
        promoted=promoted,
        reason=technical(""),
    )


def test_first_reading_gets_an_empty_forecast_of_its_hour() -> None:
    (first,) = handle_all(make_forecaster(), [reading(17)])
    assert first.issued_at == minute_at(0)
    assert first.flow_rate.p50 == first.pressure.p90 == ()


def test_restart_ends_with_the_newest_forecast_for_the_retained_message() -> None:
    history = FakeHistory(series(minutes(0, 150)), NOW + 2 * HOUR, [NOW + HOUR], prediction(120))
    at_start = start(make_forecaster(history))
    assert [forecast.issued_at for forecast in at_start] == [minute_at(60), minute_at(120)]
    assert at_start[-1] == prediction(120)


def test_each_full_hour_is_forecast_once_after_its_last_minute() -> None:
    service = make_forecaster()
    assert [forecast.issued_at for forecast in handle_all(service, in_event_time(minutes(0, 59), 59))] == [minute_at(0)]
    assert handle_all(service, [reading(59, 10.0)]) == []
    assert [forecast.issued_at for forecast in handle_all(service, [tick(59)])] == [minute_at(60)]
    assert handle_all(service, [reading(60, 10.0), tick(60)]) == []


def test_forecast_has_169_values_of_both_channels_with_four_decimals() -> None:
    service = make_forecaster()
    *_, last = handle_all(service, minutes(0, 3 * 24 * 60 + 1))
    assert [len(q) for q in (last.flow_rate.p10, last.flow_rate.p50, last.pressure.p50, last.pressure.p90)] == [169] * 4
    assert all(value is not None and round(value, 4) == value for value in last.flow_rate.p50)
    expected = [flow(3 * 24 * 60 + 60 * hour + 29.5) for hour in range(169)]
    assert [value or 0.0 for value in last.flow_rate.p50] == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    "gap", [7, 200, 3 * 24 * 60, 9 * 24 * 60], ids=["minutes", "hours", "days", "more than a week"]
)
def test_predictions_are_equal_with_ticks_ahead_and_in_event_time(gap: int) -> None:
    readings = [*minutes(0, 1501), *minutes(1501 + gap, 1501 + gap + 400)]
    readings.insert(700, reading(333, 99.0))
    end = 1501 + gap + 400
    far_ahead: list[Message] = []
    for entry in readings:
        far_ahead += [entry, tick(900_000)] if entry.at.minute % 7 == 0 else [entry]
    in_time = handle_all(make_forecaster(), in_event_time(readings, end))
    drained = handle_all(make_forecaster(), far_ahead)
    assert in_time == drained
    assert len({forecast.issued_at for forecast in drained}) == len(drained)


def test_channel_without_values_is_not_forecast() -> None:
    service = make_forecaster()
    *_, last = handle_all(service, [reading(minute, flow(minute), None) for minute in range(600)])
    assert last.flow_rate.p50
    assert last.pressure.p50 == ()


def test_silent_sensor_is_forecast_for_a_week() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 300))
    issued = [
        forecast.issued_at
        for forecast in handle_all(service, [tick(minute) for minute in range(300, 300 + 2 * WEEK_MINUTES)])
    ]
    assert issued == [minute_at(300 + 60 * hour) for hour in range(len(issued))]
    assert issued[-1] == minute_at(240 + 168 * 60)


def test_late_readings_still_have_their_hour_forecast_first() -> None:
    service = make_forecaster()
    late = [message for minute in range(180) for message in (tick(minute + 3), reading(minute, flow(minute)))]
    assert [forecast.issued_at for forecast in handle_all(service, late)] == [
        minute_at(0),
        minute_at(60),
        minute_at(120),
    ]


def test_hour_with_fewer_than_thirty_known_minutes_is_unknown() -> None:
    incomplete, complete = make_forecaster(), make_forecaster()
    handle_all(incomplete, [*minutes(0, 180), *minutes(180, 209)])
    handle_all(complete, [*minutes(0, 180), *minutes(180, 210)])
    assert np.isnan(incomplete.hourly_histories["001"].window_before(NOW // 3600 + 4)[0]["flow_rate"][-1])
    assert complete.hourly_histories["001"].window_before(NOW // 3600 + 4)[0]["flow_rate"][-1] == pytest.approx(
        flow(194.5), abs=0.01
    )


def test_first_of_two_readings_of_a_minute_counts() -> None:
    service = make_forecaster()
    handle_all(
        service,
        [
            message
            for entry in minutes(0, 60)
            for message in (entry, reading((entry.at - START) / timedelta(minutes=1), 99.0))
        ],
    )
    assert service.hourly_histories["001"].window_before(NOW // 3600 + 1)[0]["flow_rate"][-1] < 20


def test_a_value_that_the_meter_cant_show_enters_no_mean() -> None:
    ranges = ValueRanges({"001": ((0.0, 50.0), (0.0, 10.0))})
    plain, with_fault = make_forecaster(), make_forecaster(ranges=ranges)
    readings = minutes(0, 60 * 24 * 8)
    faulty = [replace(entry, flow_rate=999.0) if number % 60 == 7 else entry for number, entry in enumerate(readings)]
    missing = [replace(entry, flow_rate=None) if number % 60 == 7 else entry for number, entry in enumerate(readings)]
    assert handle_all(with_fault, faulty) == handle_all(plain, missing)


def test_a_late_half_and_a_block_after_an_outage_enter_their_hours() -> None:
    readings = minutes(0, 60 * 24 * 8)
    halves = [replace(entry, pressure=None) for entry in readings[60:]]
    late = [replace(entry, flow_rate=None, completes=True) for entry in readings[60:]]
    outage = slice(60 * 24 * 7, 60 * 24 * 7 + 180)
    block = [replace(entry, belated=True) for entry in reversed(readings[outage])]
    whole, apart = make_forecaster(), make_forecaster()
    handle_all(whole, readings)
    handle_all(apart, readings[:60])
    for half, other in zip(halves, late, strict=True):
        if half.at not in {entry.at for entry in readings[outage]}:
            handle_all(apart, [half, other])
    handle_all(apart, block)
    expected, actual = (service.hourly_histories["001"] for service in (whole, apart))
    for channel in CHANNELS:
        assert [actual.mean(hour, channel) for hour in expected.buckets] == pytest.approx(
            [expected.mean(hour, channel) for hour in expected.buckets]
        )


def test_late_reading_changes_only_later_forecasts() -> None:
    service = make_forecaster()
    handle_all(service, [*minutes(0, 20), *minutes(60, 130)])
    assert handle_all(service, minutes(20, 60)) == []
    assert not np.isnan(service.hourly_histories["001"].window_before(NOW // 3600 + 2)[0]["flow_rate"][-2])


def test_single_reading_far_ahead_stops_no_forecast() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 90))
    assert handle_all(service, [replace(reading(50_000, 99.0), clock="doubted")]) == []
    assert [forecast.issued_at for forecast in handle_all(service, in_event_time(minutes(90, 200), 200)[180:])] == [
        minute_at(120),
        minute_at(180),
    ]


def test_hours_missed_while_stopped_are_forecast_at_the_start() -> None:
    stored = minutes(0, 3000)
    without_stop = handle_all(make_forecaster(), stored)
    stored_before = [forecast for forecast in without_stop if forecast.issued_at <= minute_at(2400)]
    history = FakeHistory(series(stored), int(minute_at(2400).timestamp()), stored=stored_before)
    issued_at_start = start(make_forecaster(history))
    assert issued_at_start == [forecast for forecast in without_stop if forecast.issued_at > minute_at(2400)]


def test_long_stop_gives_the_same_forecasts_as_no_stop() -> None:
    """Weeks, with a pause of two days and a silence of ten."""
    day = 24 * 60
    stored = [*minutes(0, 9 * day), *minutes(11 * day, 20 * day), *minutes(30 * day, 32 * day)]
    without_stop = handle_all(make_forecaster(), stored)
    stored_before = [forecast for forecast in without_stop if forecast.issued_at <= minute_at(day)]
    history = FakeHistory(series(stored), int(minute_at(day).timestamp()), stored=stored_before)
    issued_at_start = start(make_forecaster(history))
    assert issued_at_start == without_stop[len(stored_before) :]
    ends = [
        forecast.issued_at
        for forecast in without_stop
        if minute_at(20 * day) <= forecast.issued_at <= minute_at(30 * day)
    ]
    assert len(ends) == 7 * 24 + 1


def test_start_without_stored_forecasts_issues_every_hour_again() -> None:
    """Readings are stored, forecasts not yet: the same ones are issued again, and are scored."""
    readings = minutes(0, 3000)
    without_stop = handle_all(make_forecaster(), readings)
    restarted = make_forecaster(FakeHistory(series(readings[:2000]), live=NOW))
    issued_again = start(restarted)
    assert [*issued_again, *handle_all(restarted, readings[2000:])] == without_stop


def test_first_start_on_imported_history_forecasts_the_present_hour() -> None:
    history = FakeHistory(series(minutes(0, 3000)))
    (now,) = start(make_forecaster(history))
    assert isinstance(now, Prediction)
    assert now.issued_at == minute_at(2940)
    assert now.flow_rate.p50


def test_restart_continues_as_without_a_stop() -> None:
    readings = minutes(0, 6000)
    without_stop = handle_all(make_forecaster(), readings)
    stored_before = [forecast for forecast in without_stop if forecast.issued_at <= minute_at(4320)]
    history = FakeHistory(series(readings[:4321]), int(minute_at(4320).timestamp()), stored=stored_before)
    restarted = make_forecaster(history)
    assert start(restarted) == []
    assert handle_all(restarted, readings[4300:]) == [
        forecast for forecast in without_stop if forecast.issued_at > minute_at(4320)
    ]


def import_progress(step: int = 3) -> Progress:
    return Progress(site="site1", at=START, job="import", step=step, of=3, eta=None, text=technical(""))


def test_first_start_forecasts_the_current_hour_when_its_history_is_stored() -> None:
    """Live readings arrive while the past ones are being stored: until then, the hour has an empty forecast."""
    history = FakeHistory()
    service = make_forecaster(history)
    assert start(service) == []
    (empty,) = handle_all(service, in_event_time(minutes(9000, 9020), 9020)[9000:])
    assert empty.flow_rate.p50 == ()
    assert handle_all(service, [import_progress(1), import_progress(2)]) == []
    history.series = series(minutes(0, 9020))
    (current,) = handle_all(service, [import_progress()])
    assert current.issued_at == empty.issued_at == minute_at(9000)
    assert [value or 0.0 for value in current.flow_rate.p50[:24]] == pytest.approx(
        [flow(9000 + 60 * hour + 29.5) for hour in range(24)], abs=0.2
    )
    restarted = make_forecaster(FakeHistory(history.series, NOW + 150 * HOUR, newest=current, stored=[current]))
    assert start(restarted) == [current]
    following = in_event_time(minutes(9020, 9100), 9100)[9020:]
    assert handle_all(service, following) == handle_all(restarted, following) != []


def test_import_before_the_first_live_reading_forecasts_the_hour_of_its_newest_reading() -> None:
    history = FakeHistory()
    service = make_forecaster(history)
    history.series = series(minutes(0, 9030))
    (current,) = handle_all(service, [import_progress()])
    assert current.issued_at == minute_at(9000)
    assert current.flow_rate.p50
    assert handle_all(service, [*minutes(9030, 9060)]) == []
    assert [forecast.issued_at for forecast in handle_all(service, [tick(9059)])] == [minute_at(9060)]


def test_import_leaves_a_forecast_with_values_unchanged() -> None:
    history = FakeHistory()
    service = make_forecaster(history)
    handle_all(service, minutes(0, 2000))
    history.series = series(minutes(-9000, 2000))
    assert handle_all(service, [import_progress()]) == []


def test_repeated_end_of_an_import_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker delivers the retained message again after each reconnection."""
    service = make_forecaster(FakeHistory(series(minutes(0, 9030))))
    assert len(handle_all(service, [import_progress()])) == 1
    loads = list[str]()
    monkeypatch.setattr(service, "_load_history", loads.append)
    handle_all(service, [import_progress(), import_progress()])
    assert loads == []


def test_import_is_loaded_again_if_history_was_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    history = FakeHistory(series(minutes(0, 9030)))
    service = make_forecaster(history)
    with monkeypatch.context() as patch:
        patch.setattr(history, "readings", unavailable)
        with pytest.raises(Unavailable):
            list(service.handle(import_progress()))
    assert len(handle_all(service, [import_progress()])) == 1


def unavailable(*_: object) -> Series:
    raise Unavailable(problem("history_incomplete"))


def test_start_replaces_an_empty_forecast_of_the_current_hour() -> None:
    """The history of a first start was stored while the forecaster was stopped."""
    (empty,) = handle_all(make_forecaster(), [reading(9000, 10.0)])
    history = FakeHistory(series(minutes(0, 9020)), NOW + 150 * HOUR, newest=empty, stored=[empty])
    (current,) = start(make_forecaster(history))
    assert isinstance(current, Prediction)
    assert current.issued_at == empty.issued_at
    assert current.flow_rate.p50


def test_start_without_history_keeps_the_empty_forecast() -> None:
    (empty,) = handle_all(make_forecaster(), [reading(0, 10.0)])
    history = FakeHistory(series(minutes(-90, 20)), NOW, newest=empty, stored=[empty])
    assert start(make_forecaster(history)) == [empty]


def test_imported_history_is_used_after_the_import() -> None:
    history = FakeHistory()
    service = make_forecaster(history)
    handle_all(service, minutes(9000, 9030))
    history.series = series(minutes(0, 9000))
    handle_all(service, [import_progress()])
    (first,) = handle_all(service, [*minutes(9030, 9060), tick(9059)])
    assert [value or 0.0 for value in first.flow_rate.p50[:24]] == pytest.approx(
        [flow(9060 + 60 * hour + 29.5) for hour in range(24)], abs=0.2
    )


def test_promoted_model_is_used_at_once_and_named() -> None:
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW))
    start(service)
    service.model_loader = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel()})
    (before,) = handle_all(service, [*minutes(0, 60), tick(59)])
    (after,) = handle_all(service, [trained(), *minutes(60, 120), tick(119)])
    assert (before.flow_rate.model, before.pressure.model) == ("profile", "profile")
    assert (after.flow_rate.model, after.pressure.model) == ("model-1", "profile")
    assert (after.flow_rate.p50[0] or 0) > flow(149.5) + 0.05


def test_refused_model_is_ignored() -> None:
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW))
    start(service)
    service.model_loader = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel()})
    (after,) = handle_all(service, [trained(promoted=False), *minutes(0, 60), tick(59)])
    assert after.flow_rate.model == "profile"


def test_invalid_model_leaves_the_old_one_active() -> None:
    loader = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel("old")})
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW), loader)
    start(service)
    loader.models.clear()
    (after,) = handle_all(service, [trained(), *minutes(0, 60), tick(59)])
    assert after.flow_rate.model == "old"


def test_profile_is_activated_unless_a_newer_model_is_active() -> None:
    loader = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel("old")})
    service = make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW), loader)
    start(service)
    (stale,) = handle_all(service, [replace(trained(), id="profile", checksum=""), *minutes(0, 60), tick(59)])
    loader.models.clear()
    (after,) = handle_all(service, [replace(trained(), id="profile", checksum=""), *minutes(60, 120), tick(119)])
    assert (stale.flow_rate.model, after.flow_rate.model) == ("old", "profile")


def test_newest_model_is_active_from_the_start() -> None:
    loader = FakeModelLoader({"output/Learning_lstm/pressure/001": FakeModel("newest")})
    (first,) = start(make_forecaster(FakeHistory(series(minutes(-3 * WEEK_MINUTES, 0)), NOW - 3600 - 3600), loader))
    assert isinstance(first, Prediction)
    assert (first.flow_rate.model, first.pressure.model) == ("profile", "newest")


def test_profile_forecasts_with_too_little_data_for_the_model() -> None:
    loader = FakeModelLoader({"output/Learning_lstm/flow_rate/001": FakeModel()})
    (first,) = start(make_forecaster(FakeHistory(series(minutes(-WEEK_MINUTES, 0)), NOW - 7200), loader))
    assert isinstance(first, Prediction)
    assert first.flow_rate.model == "profile"


def test_flow_that_is_never_negative_is_never_forecast_below_zero() -> None:
    service = make_forecaster()
    noise = np.random.default_rng(1).exponential(1.0, 3 * 24)
    *_, last = handle_all(service, [reading(minute, float(noise[minute // 60])) for minute in range(3 * 24 * 60)])
    assert min(value for value in last.flow_rate.p10 if value is not None) >= 0


def test_tick_of_another_year_ends_no_hour_of_a_pausing_sensor() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 100), 100))
    year = 365 * 24 * 60
    assert handle_all(service, [tick(year + minute) for minute in range(19)]) == []
    assert [forecast.issued_at for forecast in handle_all(service, [tick(year + 19), tick(year + 20)])] == [
        minute_at(120)
    ]
    assert [forecast.issued_at for forecast in handle_all(service, minutes(121, 181))] == [minute_at(180)]


def test_meter_that_was_set_back_a_year_is_forecast_again() -> None:
    service, year = make_forecaster(), 365 * 24 * 60
    handle_all(service, in_event_time(minutes(year, year + 100), year + 100)[year:])
    assert handle_all(service, in_event_time(minutes(0, 61), 61)) == []
    back = [replace(item, clock="set_back") for item in minutes(61, 200)]
    issued = handle_all(service, in_event_time(back, 200)[61:])
    assert [forecast.issued_at for forecast in issued] == [minute_at(60), minute_at(120), minute_at(180)]


def test_repeated_old_readings_are_no_clock_setback() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 400), 400))
    assert handle_all(service, minutes(0, 200)) == []
    assert [forecast.issued_at for forecast in handle_all(service, minutes(400, 421))] == [minute_at(420)]


def test_missing_stored_hours_are_backfilled_unchanged() -> None:
    readings = minutes(0, 3 * 24 * 60)
    without_loss = {forecast.issued_at: forecast for forecast in handle_all(make_forecaster(), readings)}
    lost_hours = [50, 51, 60]
    stored_before = [
        forecast
        for issued_at, forecast in without_loss.items()
        if issued_at not in [minute_at(60 * hour) for hour in lost_hours]
    ]
    history = FakeHistory(
        series(readings), NOW + 71 * HOUR, [NOW + hour * HOUR for hour in lost_hours], stored=stored_before
    )
    service = make_forecaster(history)
    backfilled = start(service)
    assert backfilled == [without_loss[minute_at(60 * hour)] for hour in lost_hours]
    assert service.oldest_missing_output() == f"001 {minute_at(50 * 60).isoformat()}"


def test_paused_backlog_is_not_forecast_beyond_its_newest_reading() -> None:
    service = make_forecaster()
    handle_all(service, minutes(0, 3 * 24 * 60))
    day = 24 * 60
    assert handle_all(service, [tick(30 * day + minute) for minute in range(BACKLOG_PAUSE_TICKS)]) == []
    assert handle_all(service, [tick(31 * day)]) != []


def test_retired_sensor_gets_no_forecast_until_it_sends_again() -> None:
    service = make_forecaster()
    handle_all(service, in_event_time(minutes(0, 100), 100))
    assert handle_all(service, [SensorRetired("site1", "001", minute_at(100)), *map(tick, range(100, 400))]) == []
    issued = [forecast.issued_at for forecast in handle_all(service, minutes(400, 421))]
    assert issued[-1] == minute_at(420)


@pytest.mark.parametrize("interval", [5, 15, 60])
def test_slow_sensor_with_late_readings_is_forecast_soon_after_the_full_hour(interval: int) -> None:
    """A logger that stamps the beginning of the interval sends each reading when the interval is over."""
    service, issued = make_forecaster(), {}
    for minute in range(48 * 60):
        if minute % interval == 0 and minute >= interval:
            handle_all(service, [reading(minute - interval, flow(minute))])
        for forecast in handle_all(service, [tick(minute)]):
            issued[forecast.issued_at] = minute
    delays = [minute - int((at - START).total_seconds()) // 60 for at, minute in issued.items() if minute > 30 * 60]
    assert len(delays) >= 17
    assert max(delays) <= 5


def test_hourly_values_are_enough_for_a_forecast() -> None:
    """Once some hours show how many values are usual, one an hour is all of it."""
    forecasts = handle_all(make_forecaster(), [reading(60 * hour, flow(60 * hour)) for hour in range(30)])
    assert all(forecast.flow_rate.p50 for forecast in forecasts if forecast.issued_at >= minute_at(8 * 60))
