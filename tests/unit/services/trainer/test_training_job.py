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

from services.forecaster.main import make_model_loader
from services.trainer import channel_training, network, samples
from services.trainer.champion_challenger import Decision
from services.trainer.channel_training import ParityError, check_parity, model_folder
from services.trainer.training_data import HourlySeries, load_training_data
from services.trainer.training_job import TrainingJob
from services.trainer.training_protocol import (
    InsufficientData,
    TrainingFailed,
    TrainingProgress,
    TrainingRecord,
    TrainingRequest,
    TrainingResult,
)
from shared.domain.features import Float32s, ModelInputs
from shared.domain.series import DAY, HOUR
from shared.models.litert import load_litert_model
from shared.settings import Training
from tests.unit.services.trainer.short_site import MONDAY, ZONE, FakeHistory, FirstTraining, run_training

IDENTITY_CALIBRATION: Float32s = np.tile(
    [*[[1.0] * 3] * network.ENSEMBLE_SIZE, [-1.0, 0, 0], [0, 0, 1.0]], (169, 1, 1)
).astype(np.float32)
"""Calibration that changes nothing."""
FOLDER = "output/Learning_lstm/flow_rate/001"


def trained(records: list[TrainingRecord]) -> list[TrainingResult]:
    return [record for record in records if isinstance(record, TrainingResult)]


def hours_of(past: FakeHistory) -> HourlySeries:
    return next(load_training_data(past, "001", ("flow_rate",), past.end_at, ZONE))


def inputs_of(past: FakeHistory, count: int = 5) -> list[ModelInputs]:
    hours = hours_of(past)
    _, scaler = samples.fit_scaler(hours, 1000)
    return samples.inputs_every(hours, scaler, 1000, 1000 + count, 1)[1]


def test_both_channels_are_trained_and_each_step_is_told(first_training: FirstTraining) -> None:
    steps = [(record.step, record.of) for record in first_training.records if isinstance(record, TrainingProgress)]
    assert steps[0] == (0, 44)
    assert steps[-1] == (44, 44)
    assert steps == sorted(steps)
    assert [record.channel for record in trained(first_training.records)] == ["flow_rate", "pressure"]


def test_a_models_name_is_when_it_was_trained_and_the_checksum_of_its_network(first_training: FirstTraining) -> None:
    first = trained(first_training.records)[0]
    assert first.id == f"20261130T0000-{first.checksum[:6]}"
    assert first.trained_from == MONDAY
    assert MONDAY + 30 * DAY < first.trained_to < first_training.history.end_at - 7 * DAY


def test_the_metrics_name_the_errors_of_both(first_training: FirstTraining) -> None:
    first = trained(first_training.records)[0]
    assert {"mae", "mae_1h", "mae_24h", "pinball", "coverage", "used_mae", "used_pinball"} <= first.metrics.keys()
    assert "the profile" in first.reason


def test_the_manifest_has_the_scaler_as_plain_numbers(first_training: FirstTraining) -> None:
    place = first_training.folder / trained(first_training.records)[0].path
    scaler = joblib.load(io.BytesIO((place / "scaler.joblib").read_bytes()))
    manifest = json.loads((place / "manifest.json").read_text())
    assert manifest["scaler"]["spread"] == scaler.scale_[0] > 0
    assert manifest["scaler"]["center"] == pytest.approx(29, abs=2)


def test_each_channel_has_its_own_scaler(first_training: FirstTraining) -> None:
    centers = [
        load_litert_model(first_training.folder / record.path).scaler.center
        for record in trained(first_training.records)
    ]
    assert centers[0] > 20
    assert 4 < centers[1] < 5


def test_litert_answers_as_keras_does(first_training: FirstTraining) -> None:
    place = first_training.folder / trained(first_training.records)[0].path
    keras = tf.keras.models.load_model(place / "model.keras", compile=False)
    lite = load_litert_model(place)
    seen = inputs_of(first_training.history)
    answers = network.predict(keras, np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen]))
    assert np.stack([lite.predict(look) for look in seen]) == pytest.approx(answers, abs=1e-4)


def test_a_network_that_litert_answers_otherwise_is_not_published(first_training: FirstTraining) -> None:
    lite = load_litert_model(first_training.folder / trained(first_training.records)[0].path)
    with pytest.raises(ParityError):
        check_parity(
            network.with_calibration(network.build_model(), IDENTITY_CALIBRATION),
            lite,
            inputs_of(first_training.history),
        )


def test_the_quantiles_of_any_network_are_in_order(first_training: FirstTraining) -> None:
    network.seed_everything(5)
    core = network.build_model()
    core.set_weights([np.random.default_rng(1).normal(0, 1, one.shape) for one in core.get_weights()])
    wild, seen = network.with_calibration(core, IDENTITY_CALIBRATION), inputs_of(first_training.history)
    answers = network.predict(wild, np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen]))
    assert (np.diff(answers, axis=-1) >= 0).all()


def test_of_what_the_network_adds_only_what_pays_is_left() -> None:
    rng = np.random.default_rng(1)
    truth, wide = rng.normal(0, 1, (200, 24)).astype(np.float32), np.full((200, 24), 1.28)
    useless = network._calibration_factors(rng.normal(0, 0.05, truth.shape), wide, wide, truth)
    useful = network._calibration_factors(0.5 * truth.astype(np.float64), wide, wide, truth)
    assert list(useless) == pytest.approx([0.0, 1.0, 1.0], abs=0.03)
    assert list(useful) == [1.0, network.MIN_WIDTH_FACTOR, network.MIN_WIDTH_FACTOR]


def test_the_same_readings_and_seed_give_the_same_network(first_training: FirstTraining, tmp_path: Path) -> None:
    again = trained(run_training(first_training.history, tmp_path))
    assert again[0].checksum == trained(first_training.records)[0].checksum


def force_decision(monkeypatch: pytest.MonkeyPatch, promoted: bool) -> None:
    """Lets every candidate win, or lose."""
    monkeypatch.setattr(channel_training, "decide", lambda *_: Decision(promoted, "so it was judged", {}))


def test_a_better_candidate_takes_the_place_of_the_model_in_use(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(first_training.folder, tmp_path, dirs_exist_ok=True)
    force_decision(monkeypatch, True)
    (second,) = trained(run_training(first_training.history, tmp_path, first_training.history.end_at - 3 * DAY))
    assert (second.promoted, second.path) == (True, FOLDER)
    assert make_model_loader(tmp_path)(FOLDER).id == second.id  # type: ignore[union-attr]
    assert (tmp_path / FOLDER / "versions" / trained(first_training.records)[0].id / "model.tflite").exists()


def test_a_candidate_that_is_not_better_goes_to_the_versions_only(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    force_decision(monkeypatch, True)
    (first,) = trained(run_training(first_training.history, tmp_path))
    force_decision(monkeypatch, False)
    (second,) = trained(run_training(first_training.history, tmp_path, first_training.history.end_at - 3 * DAY))
    assert (second.promoted, second.path) == (False, f"{FOLDER}/versions/{second.id}")
    assert make_model_loader(tmp_path)(FOLDER).id == first.id  # type: ignore[union-attr]
    assert make_model_loader(tmp_path)(second.path).id == second.id  # type: ignore[union-attr]


def test_the_champion_is_the_model_in_use_and_equal_is_not_better(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        force_decision(patch, True)
        (first,) = trained(run_training(first_training.history, tmp_path))
    (second,) = trained(run_training(first_training.history, tmp_path))
    assert not second.promoted
    assert first.id in second.reason
    assert second.metrics["mae"] == second.metrics["used_mae"]


def test_too_few_days_are_said_plainly(tmp_path: Path) -> None:
    assert run_training(FakeHistory(days=20), tmp_path) == [
        InsufficientData("001", "flow_rate", "001 flow_rate: not enough data yet, 20 of 35 days; looks again at 03:00")
    ]
    assert [type(record) for record in run_training(FakeHistory(days=0), tmp_path)] == [InsufficientData]


def test_a_channel_that_was_never_measured_is_passed_over(tmp_path: Path) -> None:
    past = FakeHistory(days=20)
    past.pressure[:] = np.nan
    assert len(run_training(past, tmp_path, channels=("flow_rate", "pressure"))) == 1


def test_only_readings_before_the_plans_time_are_used() -> None:
    past = FakeHistory()
    hours = next(load_training_data(past, "001", ("flow_rate",), past.end_at - 10 * DAY, ZONE))
    assert hours.start_at + len(hours.values) * HOUR == past.end_at - 10 * DAY


def test_hours_inside_anomalies_are_not_learned() -> None:
    past = FakeHistory(anomalies=[(MONDAY + 5 * DAY + 60, MONDAY + 6 * DAY + 60)])
    unknown = np.isnan(hours_of(past).values)
    assert unknown.sum() == 25
    assert unknown[5 * 24 : 6 * 24 + 1].all()


def test_an_anomaly_that_never_ends_does_not_stop_all_learning() -> None:
    assert hours_of(FakeHistory(anomalies=[(MONDAY, MONDAY + 60 * DAY)])).known_days == 63


def test_the_held_back_weeks_are_neither_learned_nor_watched() -> None:
    for days, held in ((35, 7), (63, 10.5), (365, 28)):
        parts = samples.split(hours_of(FakeHistory(days)))
        assert (parts.end - parts.holdout_start) / 24 == held
        assert parts.validation_start < parts.holdout_start


def test_channels_that_are_prepared_at_once_are_what_each_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, samples.Dataset] = {}

    def take(hours: HourlySeries, prepared: samples.Dataset, *_: Any) -> Any:
        taken[hours.channel] = prepared
        return iter(())

    monkeypatch.setattr(channel_training, "train_channel", take)
    past = FakeHistory(35)
    list(TrainingJob("site1", ZONE, tmp_path, Training(), past, workers=2).train(TrainingRequest(past.end_at)))
    for hours in load_training_data(past, "001", ("flow_rate", "pressure"), past.end_at, ZONE):
        alone, at_once = samples.build_dataset(hours), taken.pop(hours.channel)
        for name in ("train", "validation"):
            assert np.array_equal(getattr(alone, name).ahead, getattr(at_once, name).ahead)
        assert np.array_equal(alone.profile_quantiles, at_once.profile_quantiles, equal_nan=True)
        assert alone.scaler == at_once.scaler
    assert not taken


def test_trouble_with_one_channel_is_told_and_the_other_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_flow(hours: HourlySeries, *_: Any) -> Any:
        if hours.channel == "flow_rate":
            raise ParityError("differs")
        return iter([TrainingResult("001", "pressure", 0, "m", model_folder(hours), "", 0, 0, True, "", {})])

    monkeypatch.setattr(channel_training, "train_channel", fail_for_flow)
    records = run_training(FakeHistory(), tmp_path, channels=("flow_rate", "pressure"))
    assert any(isinstance(record, TrainingFailed) and "differs" in record.text for record in records)
    assert [record.channel for record in trained(records)] == ["pressure"]
