"""A dashboard process with a real broker, fed with messages: readings, an open burst, a forecast, a training."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cli import assets
from cli.bootstrap import ROOT
from services.dashboard.web.access import KEY_FILE
from shared.contract.codec import decode, encode
from shared.contract.messages import (
    CHANNELS,
    HISTORY_PART_MINUTES,
    AlarmSummary,
    Anomaly,
    Cadence,
    Channel,
    Check,
    Command,
    Criteria,
    ExpectedBand,
    ExpectedDay,
    FlowChecks,
    Forecast,
    HistoryBatch,
    LocalizedText,
    Message,
    ModelTrained,
    NightResult,
    Prediction,
    PressureChecks,
    Progress,
    Reading,
    Response,
    Score,
    SensorState,
    Status,
    StorageState,
    Tick,
    Verdict,
)
from shared.contract.topics import topic_filter, topic_of
from shared.runtime.broker_connection import CLIENT_ID_FILE
from shared.runtime.health import resident_megabytes
from shared.store.recorder import Recorder
from shared.version import VERSION
from tests.conftest import Mosquitto, free_port
from tests.polling import wait_for

ZONE = ZoneInfo("Asia/Seoul")
SITE, SENSORS = "site1", ("001", "002")
NORMAL, ABNORMAL, NOT_JUDGED = Check(0, 0.1, 1.0), Check(1, 2.4, 1.0), Check()
STORED_DAYS = 14
SERVICES = ("ingest", "detector", "forecaster", "trainer", "db_writer", "reporter")


def usual_flow(at: datetime) -> float:
    """Return the usual flow rate of a time of the day, m³/h."""
    hour = at.hour + at.minute / 60
    return 32 - 18 * math.cos((hour - 3) / 24 * 2 * math.pi) + 7 * math.sin(hour / 24 * 4 * math.pi)


def verdict(sensor: str, at: datetime, excess_m3h: float = 0.0, seq: int = 0) -> Verdict:
    """Return the verdict of a minute; 002 is a slow sensor without a model."""
    wobble = 0.8 * math.sin(at.timestamp() / 200)
    reading = Reading(
        site=SITE,
        sensor=sensor,
        at=at,
        flow_rate=round(usual_flow(at) + wobble + excess_m3h, 2),
        pressure=round(4.1 - 0.02 * (usual_flow(at) - 30) / 10 - excess_m3h / 60, 3),
        boot_id="boot",
        seq=seq,
        source="test",
    )
    value = ABNORMAL if excess_m3h else NORMAL
    if sensor == "002":
        return Verdict(
            site=SITE,
            sensor=sensor,
            at=at,
            reading=reading,
            flow_rate=FlowChecks(NORMAL),
            pressure=PressureChecks(NORMAL),
        )
    return Verdict(
        site=SITE,
        sensor=sensor,
        at=at,
        reading=reading,
        flow_rate=FlowChecks(NORMAL, value, value, NORMAL),
        pressure=PressureChecks(NORMAL, NORMAL, NORMAL),
    )


def score(hour: datetime, channel: Channel, horizon: int) -> Score:
    """Return the score of an earlier forecast of the hour before."""
    return Score(
        at=hour - timedelta(hours=1),
        channel=channel,
        horizon=horizon,
        model="lstm-1",
        error=0.4,
        inside=True,
        profile_error=0.7,
        hours=336,
        mae=1.2 + horizon / 400,
        coverage=0.81,
        profile_mae=1.5,
    )


def burst(now: datetime) -> Anomaly:
    """Return an open burst of sensor 001 that began an hour ago."""
    onset = now - timedelta(minutes=62)
    return Anomaly(
        site=SITE,
        sensor="001",
        id="001-flow_rate-burst-1",
        at=now,
        channels=("flow_rate", "pressure"),
        methods=("value", "prediction"),
        kind="burst",
        trigger="burst",
        state="opened",
        acknowledged=False,
        severity="critical",
        opened_at=onset + timedelta(minutes=6),
        onset_at=onset,
        cleared_at=None,
        peak=58.3,
        excess_m3h=14.2,
        excess_interval_m3h=(12.9, 15.5),
        lost_m3=14.7,
        text=LocalizedText(
            f"001 유량이 {onset:%H:%M}부터 정상보다 14.2 m³/h 많습니다. 누적 손실 약 15 m³. "
            "파열이 의심되니 현장을 확인하세요.",
            f"Flow of 001 has been 14.2 m³/h above the expected since {onset:%H:%M}, about 15 m³ lost so far. "
            "A burst is likely; send someone to look.",
        ),
    )


def site_messages(now: datetime) -> Iterator[Message]:
    """Yield what a running site has published."""
    midnight = now.replace(hour=0, minute=0)
    for name in SERVICES:
        yield Status(
            site=SITE,
            name=name,
            state="online",
            version=VERSION,
            since=now - timedelta(days=3),
            at=datetime.now(ZONE),
            memory_mb=61.0,
            lag=0,
            code="ok",
            note=LocalizedText("", ""),
        )
    slots = [midnight + timedelta(minutes=10 * slot) for slot in range(144)]
    flow = ExpectedBand(*(tuple(usual_flow(at) + shift for at in slots) for shift in (0.0, -5.0, 5.0)))
    pressure = ExpectedBand(
        *(tuple(4.1 - 0.02 * (usual_flow(at) - 30) / 10 + shift for at in slots) for shift in (0, -0.12, 0.12))
    )
    yield ExpectedDay(site=SITE, sensor="001", at=midnight, flow_rate=flow, pressure=pressure)
    hour = now.replace(minute=0)
    hours = [usual_flow(hour + timedelta(hours=k)) for k in range(169)]
    quantiles = [tuple(value + shift for value in hours) for shift in (-3.0, 0.0, 3.0)]
    yield Prediction(
        site=SITE,
        sensor="001",
        issued_at=hour,
        flow_rate=Forecast("lstm-1", *quantiles),
        pressure=Forecast("profile", (4.0,) * 169, (4.1,) * 169, (4.2,) * 169),
        scores=tuple(score(hour, channel, horizon) for channel in CHANNELS for horizon in (1, 24, 168)),
    )
    learning = LocalizedText(
        "정상 범위를 배우는 중입니다. 10일이 더 필요합니다.", "It learns what is usual; 10 more days are needed."
    )
    judging = LocalizedText("2026-11-01부터 판정합니다.", "It judges the readings since 2026-11-01.")
    minute, quarter = Cadence(1, 10), Cadence(15, 45)
    yield SensorState(
        site=SITE,
        sensor="001",
        service="detector",
        at=now,
        is_active=True,
        since=now,
        text=judging,
        flow_rate=minute,
        pressure=minute,
    )
    yield SensorState(
        site=SITE,
        sensor="002",
        service="detector",
        at=now,
        is_active=False,
        since=None,
        text=learning,
        flow_rate=quarter,
        pressure=quarter,
    )
    yield AlarmSummary(
        site=SITE,
        sensor="001",
        at=now - timedelta(minutes=5),
        open=1,
        unacknowledged=1,
        severity="critical",
        silenced_until=None,
    )
    for minutes in range(180, -1, -1):
        at = now - timedelta(minutes=minutes)
        yield verdict("001", at, 14.0 if minutes < 62 else 0.0, 500 - minutes)
        if at.minute % 15 == 0:
            yield verdict("002", at, 0.0, 500 - minutes)
    yield burst(now)
    yield Criteria(
        site=SITE,
        sensor="001",
        valid_from=midnight,
        learned_from=midnight - timedelta(days=60),
        learned_to=midnight,
        days=58,
        limits={"flow_rate.value.shift": 4.2},
    )
    for channel, promoted in zip(CHANNELS, (True, False), strict=True):
        yield ModelTrained(
            site=SITE,
            sensor="001",
            at=now - timedelta(days=2),
            channel=channel,
            id=f"lstm-{channel}",
            path="output/Learning_lstm/x",
            checksum="0" * 64,
            trained_from=now - timedelta(days=300),
            trained_to=now - timedelta(days=2),
            metrics={"mae_24h": 1.21, "profile_mae_24h": 1.48},
            promoted=promoted,
            reason=LocalizedText("프로파일보다 18 % 정확합니다.", "It is 18 % more accurate than the profile."),
        )
    yield Progress(
        site=SITE,
        at=now,
        job="training",
        step=3,
        of=8,
        eta=now + timedelta(minutes=9),
        text=LocalizedText("001 수압 학습 중", "training pressure of 001"),
    )
    yield StorageState(
        site=SITE,
        at=now,
        database_mb=412.0,
        disk_free_mb=51_200.0,
        days_left=640.0,
        oldest_at=now - timedelta(days=365),
        last_backup_at=now - timedelta(hours=9),
    )
    yield Tick(SITE, now)


def store_history(database: Path, now: datetime) -> None:
    """Store two weeks of readings of sensor 001, its nights, and a leak that was repaired."""
    midnight = now.replace(hour=0, minute=0)
    start = midnight - timedelta(days=STORED_DAYS)
    times = [start + timedelta(minutes=minute) for minute in range(STORED_DAYS * 1440)]
    readings = [verdict("001", at, 3.0 if at < midnight - timedelta(days=5) else 0.0).reading for at in times]
    rows = [(reading.at, reading.flow_rate, reading.pressure) for reading in readings]
    recorder = Recorder(database, ZONE, (0, 1, 24, 168))
    for first in range(0, len(rows), HISTORY_PART_MINUTES):
        minutes = tuple(rows[first : first + HISTORY_PART_MINUTES])
        recorder.write([HistoryBatch(site=SITE, sensor="001", source="import", part=1, of=1, minutes=minutes)])
    days = [start + timedelta(days=day) for day in range(1, STORED_DAYS + 1)]
    recorder.write([night(day, 17.0 if day < midnight - timedelta(days=4) else 14.0) for day in days])
    leak = replace(
        burst(midnight - timedelta(days=5)), id="001-leak", kind="leak", trigger="leak", channels=("flow_rate",)
    )
    recorder.write([leak, replace(leak, state="cleared", cleared_at=leak.at, confirmed_cause="leak", by="Kim")])
    recorder.close()


def night(midnight: datetime, minimum_m3h: float) -> NightResult:
    """Return the result of the night that ended on a day."""
    return NightResult(
        site=SITE,
        sensor="001",
        at=midnight,
        window_from=midnight + timedelta(hours=2),
        window_to=midnight + timedelta(hours=5),
        minimum_m3h=minimum_m3h,
        usual_m3h=14.0,
        limit_m3h=2.0,
        leak_m3h=None,
        flag=int(minimum_m3h > 16.0),  # type: ignore[arg-type]
    )


@dataclass
class DashboardSite:
    """A running dashboard and the messages that feed it."""

    folder: Path
    broker: Mosquitto
    port: int
    process: subprocess.Popen[bytes] | None = None
    client: mqtt.Client | None = None
    commands: list[Command] = field(default_factory=list)
    answers: bool = True
    """Whether the site responds to commands."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def start(self) -> None:
        """Start the dashboard and wait until it serves."""
        environment = os.environ | {
            "WVR_DATA": str(self.folder / "data"),
            "WVR_SECRETS": str(self.secrets),
            "WVR_HEARTBEAT": str(self.folder / "heartbeat"),
            "WVR_BROKER__PORT": str(self.broker.port),
            "WVR_DASHBOARD__PORT": str(self.port),
            "WVR_SITE_FILE": str(self.folder / "site.toml"),
        }
        with (self.folder / "dashboard.log").open("ab") as log:
            command = [sys.executable, "-m", "services.dashboard.main"]
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        wait_for(self.is_alive, what="the dashboard serves")

    def is_alive(self) -> bool:
        """Return whether the web server answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/alive", timeout=2) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def log(self) -> str:
        """Return what the dashboard has logged."""
        return (self.folder / "dashboard.log").read_text(encoding="utf-8")

    def memory_mb(self) -> float:
        """Return the resident memory of the dashboard."""
        assert self.process
        return resident_megabytes(Path(f"/proc/{self.process.pid}"))

    def stop(self) -> None:
        """Stop the dashboard."""
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def connect(self) -> None:
        """Connect the feeding client, which also responds to commands."""
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_connect = lambda client, *_: client.subscribe(topic_filter(Command), 1)
        self.client.on_message = self._on_command
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self.broker.port)
        self.client.loop_start()
        assert subscribed.wait(10)

    def is_connected(self) -> bool:
        """Return whether the feeding client is connected."""
        return bool(self.client and self.client.is_connected())

    def publish(self, *messages: Message) -> None:
        """Publish messages and wait until the broker has them."""
        assert self.client
        sent = [self.client.publish(topic_of(message), encode(message), 1, message.retained) for message in messages]
        for delivery in sent:
            delivery.wait_for_publish(10)

    def _on_command(self, _: mqtt.Client, __: object, packet: mqtt.MQTTMessage) -> None:
        command = decode(packet.topic, packet.payload)
        assert isinstance(command, Command)
        self.commands.append(command)
        if self.answers:
            text = LocalizedText("명령을 실행했습니다", "The command was carried out")
            response = Response(site=SITE, name=command.name, transaction=command.transaction, ok=True, text=text)
            assert self.client
            self.client.publish(topic_of(response), encode(response), 1)


@contextmanager
def dashboard_site(folder: Path, has_history: bool = False) -> Iterator[DashboardSite]:
    """Start a broker and a dashboard; nothing is published yet."""
    assets.ensure()
    site = DashboardSite(folder, Mosquitto(folder / "broker", free_port()), free_port())
    site.secrets.mkdir(parents=True)
    for name in ("password", CLIENT_ID_FILE, KEY_FILE):
        (site.secrets / name).write_text("any", encoding="ascii")
    (folder / "site.toml").write_text(f'[site]\nname = "{SITE}"\n[dma]\nname = "A-12"\n', encoding="utf-8")
    if has_history:
        (folder / "data").mkdir()
        store_history(folder / "data/wvr.db", this_minute())
    site.broker.start()
    try:
        site.start()
        site.connect()
        yield site
    finally:
        if site.client:
            site.client.loop_stop()
        site.stop()
        site.broker.stop()


def this_minute() -> datetime:
    """Return the present minute at the site."""
    return datetime.now(ZONE).replace(second=0, microsecond=0)
