from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import tensorflow as tf

from services.trainer import channel_training, network, samples
from services.trainer.channel_training import ParityError, check_parity, model_folder
from services.trainer.training_data import HourlySeries, load_training_data
from services.trainer.training_job import TrainingJob
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
)
from shared.contract.texts import technical
from shared.domain.features import Float32s, ModelInputs
from shared.domain.series import DAY, HOUR
from shared.models.litert import load_litert_model
from shared.models.loader import make_model_loader
from shared.models.registry import ModelRegistry
from shared.models.training_result import TrainingResult
from tests.unit.services.trainer.short_site import MONDAY, TRAINING, ZONE, FakeHistory, FirstTraining, run_training

IDENTITY_CALIBRATION: Float32s = np.tile(
    [*[[1.0] * 3] * network.ENSEMBLE_SIZE, [-1.0, 0, 0], [0, 0, 1.0]], (169, 1, 1)
).astype(np.float32)
"""Calibration weights that change nothing."""
FOLDER = "output/Learning_lstm/flow_rate/001"


def trained(records: list[TrainingRecord]) -> list[TrainingResult]:
    return [record for record in records if isinstance(record, TrainingResult)]


def hours_of(history: FakeHistory) -> HourlySeries:
    return next(load_training_data(history, "001", ("flow_rate",), history.end_at, ZONE))


def inputs_of(history: FakeHistory, count: int = 5) -> list[ModelInputs]:
    series = hours_of(history)
    _, scaler = samples.fit_scaler(series, 800)
    return samples.inputs_every(series, scaler, 800, 800 + count, 1)[1]


def test_both_channels_are_trained_with_progress_for_each_step(first_training: FirstTraining) -> None:
    steps = [(record.step, record.of) for record in first_training.records if isinstance(record, TrainingProgress)]
    assert steps[0] == (0, 42)
    assert steps[-1] == (42, 42)
    assert steps == sorted(steps)
    assert [record.channel for record in trained(first_training.records)] == ["flow_rate", "pressure"]


def test_model_id_is_training_time_and_network_checksum(first_training: FirstTraining) -> None:
    first = trained(first_training.records)[0]
    assert first.id == f"20261102T0000-{first.checksum[:6]}"
    assert first.trained_from == MONDAY
    assert MONDAY + 24 * DAY < first.trained_to < first_training.history.end_at - 7 * DAY


def test_metrics_include_errors_of_candidate_and_champion(first_training: FirstTraining) -> None:
    first = trained(first_training.records)[0]
    assert {"mae", "mae_1h", "mae_24h", "pinball", "coverage", "used_mae", "used_pinball"} <= first.metrics.keys()
    assert "the profile" in first.reason.en


def test_manifest_has_the_scaler_as_plain_numbers(first_training: FirstTraining) -> None:
    folder = first_training.folder / trained(first_training.records)[0].path
    scaler = joblib.load(io.BytesIO((folder / "scaler.joblib").read_bytes()))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["scaler"]["spread"] == scaler.scale_[0] > 0
    assert manifest["scaler"]["center"] == pytest.approx(29, abs=2)


def test_each_channel_has_its_own_scaler(first_training: FirstTraining) -> None:
    centers = [
        load_litert_model(first_training.folder / record.path).scaler.center
        for record in trained(first_training.records)
    ]
    assert centers[0] > 20
    assert 4 < centers[1] < 5


def test_litert_predicts_as_keras_does(first_training: FirstTraining) -> None:
    folder = first_training.folder / trained(first_training.records)[0].path
    keras = tf.keras.models.load_model(folder / "model.keras", compile=False)
    lite = load_litert_model(folder)
    inputs = inputs_of(first_training.history)
    answers = network.predict(
        keras, np.stack([entry.past for entry in inputs]), np.stack([entry.ahead for entry in inputs])
    )
    assert np.stack([lite.predict(entry) for entry in inputs]) == pytest.approx(answers, abs=1e-4)


def test_network_with_different_litert_output_is_refused(first_training: FirstTraining) -> None:
    lite = load_litert_model(first_training.folder / trained(first_training.records)[0].path)
    with pytest.raises(ParityError):
        check_parity(
            network.with_calibration(network.build_model(), IDENTITY_CALIBRATION),
            lite,
            inputs_of(first_training.history),
        )


def test_quantiles_of_any_network_are_in_order(first_training: FirstTraining) -> None:
    network.seed_everything(5)
    core = network.build_model()
    core.set_weights([np.random.default_rng(1).normal(0, 1, weights.shape) for weights in core.get_weights()])
    random_network, inputs = network.with_calibration(core, IDENTITY_CALIBRATION), inputs_of(first_training.history)
    answers = network.predict(
        random_network, np.stack([entry.past for entry in inputs]), np.stack([entry.ahead for entry in inputs])
    )
    assert (np.diff(answers, axis=-1) >= 0).all()


def test_calibration_keeps_only_a_useful_correction() -> None:
    rng = np.random.default_rng(1)
    truth, width = rng.normal(0, 1, (200, 24)).astype(np.float32), np.full((200, 24), 1.28)
    useless = network._calibration_factors(rng.normal(0, 0.05, truth.shape), width, width, truth)
    useful = network._calibration_factors(0.5 * truth.astype(np.float64), width, width, truth)
    assert list(useless) == pytest.approx([0.0, 1.0, 1.0], abs=0.03)
    assert list(useful) == [1.0, network.MIN_WIDTH_FACTOR, network.MIN_WIDTH_FACTOR]


def test_same_readings_and_seed_give_the_same_network_which_is_stored_as_a_version_only(
    first_training: FirstTraining, tmp_path: Path
) -> None:
    """The candidate is refused, since it is as good as the active model."""
    shutil.copytree(first_training.folder, tmp_path, dirs_exist_ok=True)
    first = trained(first_training.records)[0]
    ModelRegistry(tmp_path).activate(first.id, first.at, technical("activated by the test"), channel="flow_rate")
    (second,) = trained(run_training(first_training.history, tmp_path, first_training.history.end_at + HOUR // 2))
    assert second.checksum == first.checksum
    assert first.id in second.reason.en
    assert second.metrics["mae"] == second.metrics["used_mae"]
    assert (second.promoted, second.path) == (False, f"{FOLDER}/versions/{second.id}")
    assert make_model_loader(tmp_path)(FOLDER).id == first.id  # type: ignore[union-attr]
    assert make_model_loader(tmp_path)(second.path).id == second.id  # type: ignore[union-attr]


def test_too_few_days_are_reported(tmp_path: Path) -> None:
    (record,) = run_training(FakeHistory(days=20), tmp_path)
    assert isinstance(record, InsufficientData)
    assert record.text.en == "001 flow_rate: not enough data yet: 20 of 28 days; next check at 03:00"
    assert record.text.ko == "001 유량: 아직 데이터가 부족합니다: 28일 중 20일. 03:00에 다시 확인합니다"
    assert [type(record) for record in run_training(FakeHistory(days=0), tmp_path)] == [InsufficientData]


def test_channel_without_values_is_skipped(tmp_path: Path) -> None:
    history = FakeHistory(days=20)
    history.pressure[:] = np.nan
    assert len(run_training(history, tmp_path, channels=("flow_rate", "pressure"))) == 1


def test_only_readings_before_the_requested_time_are_used() -> None:
    history = FakeHistory()
    series = next(load_training_data(history, "001", ("flow_rate",), history.end_at - 10 * DAY, ZONE))
    assert series.start_at + len(series.values) * HOUR == history.end_at - 10 * DAY


def test_hours_inside_anomalies_are_masked() -> None:
    history = FakeHistory(anomalies=[(MONDAY + 5 * DAY + 60, MONDAY + 6 * DAY + 60)])
    unknown = np.isnan(hours_of(history).values)
    assert unknown.sum() == 25
    assert unknown[5 * 24 : 6 * 24 + 1].all()


def test_endless_anomaly_does_not_mask_all_hours() -> None:
    assert hours_of(FakeHistory(anomalies=[(MONDAY, MONDAY + 34 * DAY)])).known_days == 35


def test_holdout_weeks_are_neither_training_nor_validation_data() -> None:
    for days, holdout_days in ((35, 7), (63, 10.5), (365, 28)):
        parts = samples.split(hours_of(FakeHistory(days)))
        assert (parts.end - parts.holdout_start) / 24 == holdout_days
        assert parts.validation_start < parts.holdout_start


def test_parallel_datasets_equal_sequential_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captured: dict[str, samples.Dataset] = {}

    def capture(series: HourlySeries, prepared: samples.Dataset, *_: Any) -> Any:
        captured[series.channel] = prepared
        return iter(())

    monkeypatch.setattr(channel_training, "train_channel", capture)
    history = FakeHistory(28)
    list(TrainingJob("site1", ZONE, tmp_path, TRAINING, history, workers=2).train(TrainingRequest(history.end_at)))
    for series in load_training_data(history, "001", ("flow_rate", "pressure"), history.end_at, ZONE):
        sequential, parallel = samples.build_dataset(series), captured.pop(series.channel)
        for name in ("train", "validation"):
            assert np.array_equal(getattr(sequential, name).ahead, getattr(parallel, name).ahead)
        assert np.array_equal(sequential.profile_quantiles, parallel.profile_quantiles, equal_nan=True)
        assert sequential.scaler == parallel.scaler
    assert not captured


def test_failure_of_one_channel_does_not_stop_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_for_flow(series: HourlySeries, *_: Any) -> Any:
        if series.channel == "flow_rate":
            raise ParityError("differs")
        return iter(
            [TrainingResult("001", "pressure", 0, "m", model_folder(series), "", 0, 0, True, technical(""), {})]
        )

    monkeypatch.setattr(channel_training, "train_channel", fail_for_flow)
    monkeypatch.setattr(TrainingJob, "_build_datasets", lambda _, batch: batch)
    records = run_training(FakeHistory(), tmp_path, channels=("flow_rate", "pressure"))
    assert any(isinstance(record, TrainingFailed) and "differs" in record.text.en for record in records)
    assert [record.channel for record in trained(records)] == ["pressure"]
