"""The tables of wvr.db as peewee models. Times are UTC epoch seconds; the …_VIEWs show local time."""

from __future__ import annotations

from peewee import BooleanField, CompositeKey, FloatField, IntegerField, Model, TextField

from shared.contract.messages import (
    Criteria,
    ExpectedDay,
    HistoryBatch,
    Message,
    ModelTrained,
    NightResult,
    Notification,
    Prediction,
    Reading,
    SensorState,
    Verdict,
)


class Readings(Model):
    site, sensor, at = TextField(), TextField(), IntegerField()
    flow_rate, pressure = FloatField(null=True), FloatField(null=True)
    source, clock = TextField(), TextField()

    class Meta:
        table_name = "REAL_VAL_TB"
        primary_key = CompositeKey("site", "sensor", "at")


class Verdicts(Model):
    site, sensor, at = TextField(), TextField(), IntegerField()
    flow_rate_system, flow_rate_value = IntegerField(null=True), IntegerField(null=True)
    flow_rate_prediction, flow_rate_night = IntegerField(null=True), IntegerField(null=True)
    pressure_system, pressure_value = IntegerField(null=True), IntegerField(null=True)
    pressure_prediction = IntegerField(null=True)

    class Meta:
        table_name = "OUTLIER_VAL_TB"
        primary_key = CompositeKey("site", "sensor", "at")


class Anomalies(Model):
    site, sensor, id, at = TextField(), TextField(), TextField(), IntegerField()
    channel, method, kind, state = TextField(), TextField(), TextField(), TextField()
    acknowledged, severity = BooleanField(), TextField()
    opened_at, cleared_at = IntegerField(), IntegerField(null=True)
    peak, excess_m3h = FloatField(null=True), FloatField(null=True)
    text_ko, text_en = TextField(), TextField()
    channels, methods, trigger = TextField(), TextField(), TextField()
    onset_at = IntegerField()
    excess_low_m3h, excess_high_m3h = FloatField(null=True), FloatField(null=True)
    lost_m3, confirmed_cause = FloatField(null=True), TextField(null=True)
    note, operator = TextField(), TextField()
    closed = BooleanField()

    class Meta:
        table_name = "ANOMALY_TB"
        primary_key = CompositeKey("site", "sensor", "id")


class AnomalyStates(Model):
    site, sensor, id, at = TextField(), TextField(), TextField(), IntegerField()
    state, kind, severity = TextField(), TextField(), TextField()
    acknowledged, cleared_at = BooleanField(), IntegerField(null=True)
    peak, excess_m3h = FloatField(null=True), FloatField(null=True)
    excess_low_m3h, excess_high_m3h = FloatField(null=True), FloatField(null=True)
    lost_m3, confirmed_cause = FloatField(null=True), TextField(null=True)
    note, operator = TextField(), TextField()
    text_ko, text_en = TextField(), TextField()
    closed = BooleanField()

    class Meta:
        table_name = "ANOMALY_STATE_TB"
        primary_key = CompositeKey("site", "sensor", "id", "at", "state")


class Predictions(Model):
    site, sensor, channel = TextField(), TextField(), TextField()
    issued_at, at = IntegerField(), IntegerField()
    p10, p50, p90 = FloatField(null=True), FloatField(null=True), FloatField(null=True)
    model = TextField()

    class Meta:
        table_name = "PRED_VAL_TB"
        primary_key = CompositeKey("site", "sensor", "channel", "issued_at", "at")


class Scores(Model):
    site, sensor, channel = TextField(), TextField(), TextField()
    at, horizon = IntegerField(), IntegerField()
    model, error, inside = TextField(), FloatField(), BooleanField()
    profile_error = FloatField(null=True)
    hours, mae, coverage = IntegerField(), FloatField(), FloatField()
    profile_mae = FloatField(null=True)

    class Meta:
        table_name = "SCORE_TB"
        primary_key = CompositeKey("site", "sensor", "channel", "at", "horizon")


class NightFlow(Model):
    site, sensor, at = TextField(), TextField(), IntegerField()
    flow_rate, pressure = FloatField(null=True), FloatField(null=True)
    minutes = IntegerField()

    class Meta:
        table_name = "NIGHT_FLOW_VAL_TB"
        primary_key = CompositeKey("site", "sensor", "at")


class ExpectedDays(Model):
    site, sensor, at = TextField(), TextField(), IntegerField()
    flow_rate_expected, flow_rate_low, flow_rate_high = TextField(), TextField(), TextField()
    pressure_expected, pressure_low, pressure_high = TextField(), TextField(), TextField()

    class Meta:
        table_name = "EXPECTED_TB"
        primary_key = CompositeKey("site", "sensor", "at")


class NightResults(Model):
    site, sensor, at = TextField(), TextField(), IntegerField()
    window_from, window_to = IntegerField(), IntegerField()
    minimum_m3h, usual_m3h = FloatField(), FloatField(null=True)
    limit_m3h, leak_m3h, flag = FloatField(null=True), FloatField(null=True), IntegerField(null=True)

    class Meta:
        table_name = "NIGHT_TB"
        primary_key = CompositeKey("site", "sensor", "at")


class Notifications(Model):
    site, key, channel, at = TextField(), TextField(), TextField(), IntegerField()
    state, severity, title, attempts = TextField(), TextField(), TextField(), IntegerField()
    reason_ko, reason_en = TextField(), TextField()

    class Meta:
        table_name = "NOTIFICATION_TB"
        primary_key = CompositeKey("site", "key", "channel")


class CriteriaSets(Model):
    site, sensor, valid_from = TextField(), TextField(), IntegerField()
    learned_from, learned_to, days = IntegerField(), IntegerField(), IntegerField()
    limits, profiles = TextField(), TextField()

    class Meta:
        table_name = "CRITERIA_TB"
        primary_key = CompositeKey("site", "sensor", "valid_from")


class Models(Model):
    site, sensor, channel, id = TextField(), TextField(), TextField(), TextField()
    at, path, checksum = IntegerField(), TextField(), TextField()
    trained_from, trained_to, metrics = IntegerField(), IntegerField(), TextField()
    promoted, reason, reason_ko = BooleanField(), TextField(), TextField()

    class Meta:
        table_name = "MODEL_TB"
        primary_key = CompositeKey("site", "sensor", "channel", "id")


class HourlyValues(Model):
    site, sensor, at, minutes = TextField(), TextField(), IntegerField(), IntegerField()
    flow_rate_min, flow_rate_mean, flow_rate_max = FloatField(null=True), FloatField(null=True), FloatField(null=True)
    pressure_min, pressure_mean, pressure_max = FloatField(null=True), FloatField(null=True), FloatField(null=True)

    class Meta:
        table_name = "HOURLY_VAL_TB"
        primary_key = CompositeKey("site", "sensor", "at")


class SensorStates(Model):
    site, sensor, service, at = TextField(), TextField(), TextField(), IntegerField()
    is_active, since = BooleanField(), IntegerField(null=True)
    flow_rate_interval, flow_rate_late = IntegerField(null=True), IntegerField(null=True)
    pressure_interval, pressure_late = IntegerField(null=True), IntegerField(null=True)
    text_ko, text_en = TextField(), TextField()

    class Meta:
        table_name = "SENSOR_STATE_TB"
        primary_key = CompositeKey("site", "sensor", "service")


class HighWater(Model):
    site, boot_id = TextField(primary_key=True), TextField()
    seq, at, seen = IntegerField(), IntegerField(), IntegerField()

    class Meta:
        table_name = "STORED_TB"


class ZoneOffsets(Model):
    start, seconds = IntegerField(primary_key=True), IntegerField()

    class Meta:
        table_name = "ZONE_TB"


TABLES: dict[type[Message], type[Model]] = {
    Reading: Readings,
    HistoryBatch: Readings,
    Verdict: Verdicts,
    Prediction: Predictions,
    Criteria: CriteriaSets,
    ModelTrained: Models,
    SensorState: SensorStates,
    ExpectedDay: ExpectedDays,
    NightResult: NightResults,
    Notification: Notifications,
}
"""The table of each message type."""


def insert_sql(table: type[Model], clash: str = "REPLACE") -> str:
    """Return SQL that inserts a row; `clash`: REPLACE (the newest row wins) or IGNORE (the first row wins)."""
    columns = [field.column_name for field in table._meta.sorted_fields]
    marks = ", ".join("?" * len(columns))
    return f"INSERT OR {clash} INTO {table._meta.table_name} ({', '.join(columns)}) VALUES ({marks})"
