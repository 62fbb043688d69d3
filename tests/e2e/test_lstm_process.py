"""From readings to a trained LSTM, a stored forecast and the server's text, as in the test of the first version."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cli.export import main as export
from cli.replay import main as replay
from services.ingest.sources.simulator import Simulator
from shared.domain.series import DAY, MINUTE

SEOUL = ZoneInfo("Asia/Seoul")
START = datetime(2026, 3, 2, tzinfo=SEOUL)
DAYS = 45
TRAINING_DAY = "2026-04-13"


def write_readings(path: Path) -> None:
    site = Simulator(7, ("001",), 60.0, 4.0, SEOUL)
    first = int(START.timestamp())
    series = site.history("001", first, first + DAYS * DAY + 70 * MINUTE)
    lines = (
        f"{datetime.fromtimestamp(int(at), SEOUL):%Y-%m-%d %H:%M},001,{flow},{pressure}\n"
        for at, flow, pressure in zip(series.at, series.flow_rate, series.pressure, strict=True)
    )
    path.write_text("timestamp,sensor,flow_rate,pressure\n" + "".join(lines), encoding="ascii")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder after a replay with one training."""
    folder = tmp_path_factory.mktemp("lstm")
    (folder / "site.toml").write_text("[training]\nepochs = 4\n", encoding="ascii")
    write_readings(folder / "readings.csv")
    arguments = ["--data", str(folder / "data"), "--site", str(folder / "site.toml"), "--train", TRAINING_DAY]
    assert replay([str(folder / "readings.csv"), *arguments]) == 0
    return folder / "data"


def exported(data: Path, table: str) -> list[dict[str, str]]:
    assert export([table, "--data", str(data), "--out", str(data / f"{table}.csv")]) == 0
    with (data / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("channel", ["flow_rate", "pressure"])
def test_each_channel_has_its_own_model_and_scaler(data: Path, channel: str) -> None:
    """Takes a minute: the first test that needs the replay with its training."""
    trained = [row for row in exported(data, "models") if row["channel"] == channel]
    assert len(trained) == 1
    assert {"path", "checksum", "reason"} <= {key for key, value in trained[0].items() if value}
    if trained[0]["promoted"] == "1":
        folder = data / trained[0]["path"]
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["channel"] == channel
        assert {path.name for path in folder.iterdir()} >= {"model.tflite", "model.keras", "scaler.joblib"}


def test_forecasts_name_the_serving_model_after_the_training(data: Path) -> None:
    trained = exported(data, "models")
    serving = {row["channel"]: row["id"] if row["promoted"] == "1" else "profile" for row in trained}
    assert serving.keys() == {"flow_rate", "pressure"}
    predictions = exported(data, "predictions")
    for channel, model in serving.items():
        after = {row["model"] for row in predictions if row["channel"] == channel and row["issued_at"] > "2026-04-14"}
        before = {row["model"] for row in predictions if row["channel"] == channel and row["issued_at"] < TRAINING_DAY}
        assert after == {model}
        assert before == {"profile"}


def test_stored_forecast_is_in_the_text_of_its_full_hour(data: Path) -> None:
    newest = max(row["issued_at"] for row in exported(data, "predictions"))
    rows = [row for row in exported(data, "predictions") if row["issued_at"] == newest]
    issued = datetime.fromisoformat(newest)
    block = data / f"sensor/outbox/server-{issued:%Y%m%dT%H%M}.txt"
    columns = block.read_text(encoding="utf-8").splitlines()[0].split()[11:]
    expected = [
        f"{float(row['p50']):.2f}"
        for channel in ("flow_rate", "pressure")
        for row in rows
        if row["channel"] == channel
        and (datetime.fromisoformat(row["at"]) - issued).total_seconds() / 3600 in range(24, 169, 24)
    ]
    assert len(rows) == 2 * 169
    assert columns == expected
