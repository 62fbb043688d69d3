"""`./wvr models` on a stopped site; for a running site: tests/unit/services/trainer/test_trainer.py and e2e."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cli import models
from shared.domain.features import FEATURES_VERSION
from shared.models import store
from shared.models.loader import make_model_loader
from shared.models.manifest import read_manifest
from shared.models.model_messages import OPERATOR_REASON
from shared.models.store import MODEL_FILES
from shared.settings import Settings
from shared.store.recorder import Recorder

METRICS = {"mae_1h": 1.0, "profile_mae_1h": 2.0, "mae_24h": 3.0, "profile_mae_24h": 4.0}


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stopped site whose flow rate has the models old and young; young is in use."""
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    model_folder = tmp_path / "output/Learning_lstm/flow_rate/001"
    for identity, at in (("old", 1_780_000_000), ("young", 1_790_000_000)):
        manifest = {"sensor": "001", "channel": "flow_rate", "at": at, "trained_from": at - 86_400, "trained_to": at}
        manifest |= {
            "path": "output/Learning_lstm/flow_rate/001",
            "promoted": True,
            "reason": "better than the profile",
        }
        files = {name: f"{identity} {name}".encode() for name in MODEL_FILES}
        store.save_version(
            model_folder,
            files,
            {**manifest, "id": identity, "metrics": METRICS, "features": FEATURES_VERSION, "scaler": {}},
        )
        store.promote(model_folder, identity)
    return model_folder


def stored(data: Path) -> list[tuple[str, int, str, str]]:
    with sqlite3.connect(data / "wvr.db") as database:
        return database.execute("SELECT id, promoted, reason, reason_ko FROM MODEL_TB ORDER BY id").fetchall()


def test_list_shows_each_model(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert model_folder.exists()
    assert models.main([]) == 0
    _, old, young = capsys.readouterr().out.splitlines()
    assert old.split()[:5] == ["001", "flow_rate", "old", "2026-05-28", "2026-05-29"]
    assert "0.50 0.75 -" in old
    assert old.endswith("better than the profile")
    assert "since" in young
    assert "since" not in old


def test_rollback_of_a_stopped_site_is_stored_and_can_be_undone(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models.main(["use", "old"]) == 0
    assert read_manifest(model_folder)["id"] == "old"
    assert models.main(["use", "young"]) == 0
    assert read_manifest(model_folder)["id"] == "young"
    assert "young is in use: 001 flow_rate" in capsys.readouterr().out
    assert stored(tmp_path) == [(name, 1, OPERATOR_REASON.en, OPERATOR_REASON.ko) for name in ("old", "young")]


def test_no_model_is_loaded_while_the_profile_is_in_use(model_folder: Path, tmp_path: Path) -> None:
    assert models.main(["use", "profile"]) == 0
    assert make_model_loader(tmp_path)("output/Learning_lstm/flow_rate/001") is None
    assert stored(tmp_path) == [("profile", 1, OPERATOR_REASON.en, OPERATOR_REASON.ko)]
    assert {path.name for path in model_folder.iterdir()} == {"manifest.json", "versions"}


def test_invalid_model_id_changes_nothing(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["use", "never"]) == 1
    assert models.main(["use", "old", "--sensor", "002"]) == 1
    (model_folder / "versions/old/model.keras").unlink()
    assert models.main(["use", "old"]) == 1
    assert capsys.readouterr().err.count("wvr models:") == 3
    assert read_manifest(model_folder)["id"] == "young"


def test_use_on_a_running_site_sends_a_command(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[dict[str, str]] = []

    def send(_: Settings, name: str, **arguments: str) -> int:
        commands.append({"name": name, **arguments})
        return 0

    monkeypatch.setattr(models, "send_command", send)
    recorder = Recorder(tmp_path / "wvr.db", Settings().zone, (0,))
    assert models.main(["use", "old", "--channel", "flow_rate"]) == 0
    recorder.close()
    assert commands == [{"name": "use", "id": "old", "sensor": "", "channel": "flow_rate"}]
    assert read_manifest(model_folder)["id"] == "young"


def test_list_without_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WVR_DATA", str(tmp_path))
    assert models.main([]) == 0
    assert "the profile forecasts" in capsys.readouterr().out
    assert models.main(["use", "profile"]) == 0
    assert models.main(["use", "profile", "--sensor", "001"]) == 1
