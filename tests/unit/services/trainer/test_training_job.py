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

from services.forecaster.interpreter import open_model
from services.forecaster.main import loader
from services.trainer import channel, network, samples
from services.trainer.channel import ParityError, check_parity, place_of
from services.trainer.evaluation import Decision
from services.trainer.hours import Hours, gather
from services.trainer.job import Job
from services.trainer.plan import Advance, Failed, Plan, Record, TooLittle, Trained
from shared.domain.features import Inputs, Single
from shared.domain.series import DAY, HOUR
from shared.settings import Training
from tests.unit.services.trainer.short_site import MONDAY, ZONE, FirstTraining, SimulatedPast, run

EVEN: Single = np.tile([*[[1.0] * 3] * network.MEMBERS, [-1.0, 0, 0], [0, 0, 1.0]], (169, 1, 1)).astype(np.float32)
"""Calibration that changes nothing."""
FOLDER = "output/Learning_lstm/flow_rate/001"


def trained(records: list[Record]) -> list[Trained]:
    return [record for record in records if isinstance(record, Trained)]


def hours_of(past: SimulatedPast) -> Hours:
    return next(gather(past, "001", ("flow_rate",), past.end, ZONE))


def looks(past: SimulatedPast, count: int = 5) -> list[Inputs]:
    hours = hours_of(past)
    _, scaler = samples.fit_scaler(hours, 1000)
    return samples.looks(hours, scaler, 1000, 1000 + count, 1)[1]


def test_both_channels_are_trained_and_each_step_is_told(first_training: FirstTraining) -> None:
    steps = [(record.step, record.of) for record in first_training.records if isinstance(record, Advance)]
    assert steps[0] == (0, 44)
    assert steps[-1] == (44, 44)
    assert steps == sorted(steps)
    assert [record.channel for record in trained(first_training.records)] == ["flow_rate", "pressure"]


def test_a_models_name_is_when_it_was_trained_and_the_checksum_of_its_network(first_training: FirstTraining) -> None:
    first = trained(first_training.records)[0]
    assert first.id == f"20261130T0000-{first.checksum[:6]}"
    assert first.trained_from == MONDAY
    assert MONDAY + 30 * DAY < first.trained_to < first_training.past.end - 7 * DAY


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
        open_model(first_training.folder / record.path).scaler.center for record in trained(first_training.records)
    ]
    assert centers[0] > 20
    assert 4 < centers[1] < 5


def test_litert_answers_as_keras_does(first_training: FirstTraining) -> None:
    place = first_training.folder / trained(first_training.records)[0].path
    keras = tf.keras.models.load_model(place / "model.keras", compile=False)
    lite = open_model(place)
    seen = looks(first_training.past)
    answers = network.answer(keras, np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen]))
    assert np.stack([lite.answer(look) for look in seen]) == pytest.approx(answers, abs=1e-4)


def test_a_network_that_litert_answers_otherwise_is_not_published(first_training: FirstTraining) -> None:
    lite = open_model(first_training.folder / trained(first_training.records)[0].path)
    with pytest.raises(ParityError):
        check_parity(network.calibrated(network.build(), EVEN), lite, looks(first_training.past))


def test_the_quantiles_of_any_network_are_in_order(first_training: FirstTraining) -> None:
    network.seed_everything(5)
    core = network.build()
    core.set_weights([np.random.default_rng(1).normal(0, 1, one.shape) for one in core.get_weights()])
    wild, seen = network.calibrated(core, EVEN), looks(first_training.past)
    answers = network.answer(wild, np.stack([look.past for look in seen]), np.stack([look.ahead for look in seen]))
    assert (np.diff(answers, axis=-1) >= 0).all()


def test_of_what_the_network_adds_only_what_pays_is_left() -> None:
    rng = np.random.default_rng(1)
    truth, wide = rng.normal(0, 1, (200, 24)).astype(np.float32), np.full((200, 24), 1.28)
    useless = network._correct(rng.normal(0, 0.05, truth.shape), wide, wide, truth)
    useful = network._correct(0.5 * truth.astype(np.float64), wide, wide, truth)
    assert list(useless) == pytest.approx([0.0, 1.0, 1.0], abs=0.03)
    assert list(useful) == [1.0, network.NARROWEST, network.NARROWEST]


def test_the_same_readings_and_seed_give_the_same_network(first_training: FirstTraining, tmp_path: Path) -> None:
    again = trained(run(first_training.past, tmp_path))
    assert again[0].checksum == trained(first_training.records)[0].checksum


def judged(monkeypatch: pytest.MonkeyPatch, promoted: bool) -> None:
    """Lets every candidate win, or lose."""
    monkeypatch.setattr(channel, "decide", lambda *_: Decision(promoted, "so it was judged", {}))


def test_a_better_candidate_takes_the_place_of_the_model_in_use(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(first_training.folder, tmp_path, dirs_exist_ok=True)
    judged(monkeypatch, True)
    (second,) = trained(run(first_training.past, tmp_path, first_training.past.end - 3 * DAY))
    assert (second.promoted, second.path) == (True, FOLDER)
    assert loader(tmp_path)(FOLDER).id == second.id  # type: ignore[union-attr]
    assert (tmp_path / FOLDER / "versions" / trained(first_training.records)[0].id / "model.tflite").exists()


def test_a_candidate_that_is_not_better_goes_to_the_versions_only(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(monkeypatch, True)
    (first,) = trained(run(first_training.past, tmp_path))
    judged(monkeypatch, False)
    (second,) = trained(run(first_training.past, tmp_path, first_training.past.end - 3 * DAY))
    assert (second.promoted, second.path) == (False, f"{FOLDER}/versions/{second.id}")
    assert loader(tmp_path)(FOLDER).id == first.id  # type: ignore[union-attr]
    assert loader(tmp_path)(second.path).id == second.id  # type: ignore[union-attr]


def test_the_champion_is_the_model_in_use_and_equal_is_not_better(
    first_training: FirstTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        judged(patch, True)
        (first,) = trained(run(first_training.past, tmp_path))
    (second,) = trained(run(first_training.past, tmp_path))
    assert not second.promoted
    assert first.id in second.reason
    assert second.metrics["mae"] == second.metrics["used_mae"]


def test_too_few_days_are_said_plainly(tmp_path: Path) -> None:
    assert run(SimulatedPast(days=20), tmp_path) == [
        TooLittle("001", "flow_rate", "001 flow_rate: not enough data yet, 20 of 35 days; looks again at 03:00")
    ]
    assert [type(record) for record in run(SimulatedPast(days=0), tmp_path)] == [TooLittle]


def test_a_channel_that_was_never_measured_is_passed_over(tmp_path: Path) -> None:
    past = SimulatedPast(days=20)
    past.pressure[:] = np.nan
    assert len(run(past, tmp_path, channels=("flow_rate", "pressure"))) == 1


def test_only_readings_before_the_plans_time_are_used() -> None:
    past = SimulatedPast()
    hours = next(gather(past, "001", ("flow_rate",), past.end - 10 * DAY, ZONE))
    assert hours.first + len(hours.values) * HOUR == past.end - 10 * DAY


def test_hours_inside_anomalies_are_not_learned() -> None:
    past = SimulatedPast(anomalies=[(MONDAY + 5 * DAY + 60, MONDAY + 6 * DAY + 60)])
    unknown = np.isnan(hours_of(past).values)
    assert unknown.sum() == 25
    assert unknown[5 * 24 : 6 * 24 + 1].all()


def test_an_anomaly_that_never_ends_does_not_stop_all_learning() -> None:
    assert hours_of(SimulatedPast(anomalies=[(MONDAY, MONDAY + 60 * DAY)])).days == 63


def test_the_held_back_weeks_are_neither_learned_nor_watched() -> None:
    for days, held in ((35, 7), (63, 10.5), (365, 28)):
        parts = samples.split(hours_of(SimulatedPast(days)))
        assert (parts.end - parts.held) / 24 == held
        assert parts.watched < parts.held


def test_channels_that_are_prepared_at_once_are_what_each_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, samples.Prepared] = {}

    def take(hours: Hours, prepared: samples.Prepared, *_: Any) -> Any:
        taken[hours.channel] = prepared
        return iter(())

    monkeypatch.setattr(channel, "train_channel", take)
    past = SimulatedPast(35)
    list(Job("site1", ZONE, tmp_path, Training(), past, jobs=2).train(Plan(past.end)))
    for hours in gather(past, "001", ("flow_rate", "pressure"), past.end, ZONE):
        alone, at_once = samples.prepare(hours), taken.pop(hours.channel)
        for name in ("learned", "watched"):
            assert np.array_equal(getattr(alone, name).ahead, getattr(at_once, name).ahead)
        assert np.array_equal(alone.usual, at_once.usual, equal_nan=True)
        assert alone.scaler == at_once.scaler
    assert not taken


def test_trouble_with_one_channel_is_told_and_the_other_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_flow(hours: Hours, *_: Any) -> Any:
        if hours.channel == "flow_rate":
            raise ParityError("differs")
        return iter([Trained("001", "pressure", 0, "m", place_of(hours), "", 0, 0, True, "", {})])

    monkeypatch.setattr(channel, "train_channel", fail_for_flow)
    records = run(SimulatedPast(), tmp_path, channels=("flow_rate", "pressure"))
    assert any(isinstance(record, Failed) and "differs" in record.text for record in records)
    assert [record.channel for record in trained(records)] == ["pressure"]
