"""The LSTM network of one channel: its layers, training, calibration and LiteRT form.

The only module that imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from services.trainer.samples import Samples
from shared.domain.features import AHEAD_FEATURES, ENCODER_HOURS, ENCODER_STEP_HOURS, PAST_FEATURES, Float32s
from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats

ENSEMBLE_SIZE = 3
"""Networks with different initial weights, whose outputs are averaged in one file."""
LSTM_UNITS, HIDDEN_UNITS = 32, 48
DROPOUT_RATE = 0.3
"""High, since a year of one site is little data and its weeks are alike."""
BATCH_SIZE = 64
NEAR_HOURS_PER_BATCH, FAR_HOURS_PER_BATCH = 8, 16
"""Random horizons of the first day, and of the later days, in each batch: a few are enough, since all are alike."""
VALIDATION_HORIZONS = np.array([*range(0, 24, 4), *range(24, FORECAST_HOURS, 16)])
"""Horizons in hours at which the validation loss is computed."""
CLIP_STD = 8.0
"""Targets are clipped at this many residual standard deviations."""
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 1e-2
EARLY_STOP_EPOCHS = 4
"""Epochs without a lower validation loss after which the training stops."""
SHRINK_GRID = np.linspace(0.0, 1.0, 11)
"""Shares of the network's correction of the base that calibration chooses from."""
MIN_GAIN = 0.01
"""Share of the base's error that the full correction must gain on the few validation weeks."""
MIN_WIDTH_FACTOR, MAX_WIDTH_FACTOR = 0.9, 1.6
"""Bounds of the factors by which calibration moves p10 and p90."""
CALIBRATION_EDGES_HOURS = (0, 1, 2, 4, 7, 12, 24, 48, 96, FORECAST_HOURS)
"""Horizons between which the calibration is the same."""
Network = Any


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples."""

    number: int
    loss: float
    validation_loss: float
    is_last: bool


def seed_everything(seed: int) -> None:
    """Make trainings repeatable: same samples and seed, same network, same bytes."""
    tf.get_logger().setLevel("ERROR")
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build_model(batch: int | None = None, hours: int | None = None) -> Network:
    """Build the LSTM over the last two weeks, joined at each target hour with the features of that hour.

    Output (n, hours, ENSEMBLE_SIZE + 2): each member's correction of the base, and the distances of p10 and p90.
    """
    layers = tf.keras.layers
    past = tf.keras.Input((ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES), batch_size=batch, name="past")
    ahead = tf.keras.Input((hours, AHEAD_FEATURES), batch_size=batch, name="ahead")
    members = [_ensemble_member(past, ahead, layers) for _ in range(ENSEMBLE_SIZE)]
    return tf.keras.Model([past, ahead], layers.Concatenate()([*members, ahead[..., -2:]]))


def _ensemble_member(past: Any, ahead: Any, layers: Any) -> Any:
    """Build one member; its initial correction of the base is zero."""
    encoded = layers.Dropout(DROPOUT_RATE)(layers.LSTM(LSTM_UNITS)(past))
    context = layers.Reshape((1, HIDDEN_UNITS))(layers.Dense(HIDDEN_UNITS)(encoded))
    joined = layers.Activation("relu")(layers.Add()([context, layers.Dense(HIDDEN_UNITS)(ahead)]))
    joined = layers.Dense(HIDDEN_UNITS // 2, activation="relu")(layers.Dropout(DROPOUT_RATE)(joined))
    return layers.Dense(1, kernel_initializer="zeros")(joined)


def with_calibration(base_model: Network, weights: Float32s, batch: int | None = None) -> Network:
    """Return the network for all 169 hours, averaged and calibrated by weights (169, ENSEMBLE_SIZE + 2, 3)."""
    uncalibrated = build_model(batch, FORECAST_HOURS)
    uncalibrated.set_weights(base_model.get_weights())
    mixture = tf.keras.layers.EinsumDense("bkf,kfq->bkq", (FORECAST_HOURS, 3))
    network = tf.keras.Model(uncalibrated.inputs, mixture(uncalibrated.output))
    mixture.set_weights([weights])
    return network


def masked_mean_absolute_error(targets: Any, outputs: Any) -> Any:
    """Return the mean absolute error of all members over the known hours."""
    is_known = tf.math.is_finite(targets)
    clipped = tf.clip_by_value(tf.where(is_known, targets, 0.0), -CLIP_STD, CLIP_STD)[..., None]
    weight = tf.cast(is_known, tf.float32)
    errors = tf.reduce_mean(tf.abs(clipped - outputs[..., :ENSEMBLE_SIZE]), axis=-1)
    return tf.reduce_sum(errors * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def fit(base_model: Network, train: Samples, validation: Samples, epochs: int, seed: int) -> Iterator[Epoch]:
    """Fit a network until the validation loss stops falling; yield each epoch. Restores the best weights at the end."""
    optimizer = tf.keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=1.0)
    base_model.compile(optimizer, loss=masked_mean_absolute_error)
    rng = np.random.default_rng(seed)
    best, epochs_since_best, weights = _validation_loss(base_model, validation), 0, base_model.get_weights()
    for number in range(1, epochs + 1):
        optimizer.learning_rate.assign(LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * (number - 1) / epochs)))
        losses = [float(base_model.train_on_batch(inputs, targets)) for inputs, targets in _batches(train, rng)]
        loss = _validation_loss(base_model, validation)
        epochs_since_best += 1
        if loss < best:
            best, epochs_since_best, weights = loss, 0, base_model.get_weights()
        is_last = epochs_since_best >= EARLY_STOP_EPOCHS or number == epochs
        if is_last:
            base_model.set_weights(weights)
        yield Epoch(number, float(np.mean(losses)), loss, is_last)
        if is_last:
            return


def _validation_loss(base_model: Network, validation: Samples) -> float:
    inputs = [validation.past, validation.ahead[:, VALIDATION_HORIZONS]]
    targets = validation.targets[:, VALIDATION_HORIZONS]
    return float(base_model.evaluate(inputs, targets, batch_size=256, verbose=0))


def _batches(train: Samples, rng: np.random.Generator) -> Iterator[tuple[list[Float32s], Float32s]]:
    """Yield all samples in random order, each batch with some of the horizons."""
    order = rng.permutation(len(train))
    for start in range(0, len(order), BATCH_SIZE):
        rows = np.resize(order[start : start + BATCH_SIZE], BATCH_SIZE)
        near = rng.choice(24, NEAR_HOURS_PER_BATCH, False)
        far = 24 + rng.choice(FORECAST_HOURS - 24, FAR_HOURS_PER_BATCH, False)
        hours = np.concatenate([near, far])
        yield [train.past[rows], train.ahead[rows[:, None], hours]], train.targets[rows[:, None], hours]


def fit_calibration(base_model: Network, validation: Samples) -> Float32s:
    """Return weights that calibrate a network on the validation weeks: the share of its correction and the quantiles.

    The quantiles move half of the way to split conformal prediction (Romano, Patterson and Candès, 2019), by which a
    tenth of the known hours lies below p10 and a tenth above p90. Half, since the validation weeks are few and the
    profile's quantiles are near.
    """
    raw = base_model.predict([validation.past, validation.ahead], batch_size=256, verbose=0).astype(np.float64)
    weights = np.zeros((FORECAST_HOURS, ENSEMBLE_SIZE + 2, 3))
    for first, stop in pairwise(CALIBRATION_EDGES_HOURS):
        outputs, targets = raw[:, first:stop], validation.targets[:, first:stop]
        correction = outputs[..., :-2].mean(axis=-1)
        share, below, above = _calibration_factors(correction, outputs[..., -2], outputs[..., -1], targets)
        weights[first:stop, :ENSEMBLE_SIZE] = share / ENSEMBLE_SIZE
        weights[first:stop, -2, 0], weights[first:stop, -1, 2] = -below, above
    return weights.astype(np.float32)


def _calibration_factors(
    correction: Floats, below: Floats, above: Floats, targets: Float32s
) -> tuple[float, float, float]:
    """Return the share of the correction to keep, and the factors of the distances of p10 and p90."""
    if np.isnan(targets).all():
        return 0.0, 1.0, 1.0
    penalty = MIN_GAIN * float(np.nanmean(np.abs(targets)))
    share = min(
        SHRINK_GRID,
        key=lambda share: float(np.nanmean(np.abs(targets - share * correction))) + penalty * share,
    )
    errors = targets - share * correction
    low, high = (float(np.nanquantile(scores, 0.9)) for scores in (-errors / below, errors / above))
    below_factor, above_factor = (
        float(np.clip(np.sqrt(max(quantile, 0.0)), MIN_WIDTH_FACTOR, MAX_WIDTH_FACTOR)) for quantile in (low, high)
    )
    return share, below_factor, above_factor


def predict(network: Network, past: Float32s, ahead: Float32s) -> Float32s:
    """Return the quantiles (n, 169, 3) of a calibrated network, in residual standard deviations."""
    quantiles: Float32s = network.predict([past, ahead], batch_size=256, verbose=0)
    return quantiles


def to_litert(base_model: Network, weights: Float32s) -> bytes:
    """Return the calibrated network for LiteRT, with a static batch of one: a dynamic one needs Flex operations."""
    with redirect_stdout(StringIO()):  # the converter prints the address of each weight
        model = with_calibration(base_model, weights, 1)
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return converted
