"""The LSTM of one channel, its training and its LiteRT form; the only place of TensorFlow."""

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
"""Networks of other first weights, whose answers are averaged in one file."""
LSTM_UNITS, HIDDEN_UNITS = 32, 48
DROPOUT_RATE = 0.3
"""Share of dropout: one site's year is little, and its weeks resemble each other."""
BATCH_SIZE = 64
NEAR_HOURS_PER_BATCH, FAR_HOURS_PER_BATCH = 8, 16
"""Hours of the first day and of those after it that a batch learns, drawn anew for each: all resemble each other."""
VALIDATION_HORIZONS = np.array([*range(0, 24, 4), *range(24, FORECAST_HOURS, 16)])
"""Hours ahead by which an epoch is judged."""
CLIP_STD = 8.0
"""Surprises beyond this many usual deviations are learned as if they were so many."""
LEARNING_RATE = 3e-4
WEIGHT_DECAY = 1e-2
EARLY_STOP_EPOCHS = 4
"""Epochs without a better validation loss after which training stops."""
SHRINK_GRID = np.linspace(0.0, 1.0, 11)
"""What calibration may leave of the network's correction of the base."""
MIN_GAIN = 0.01
"""Part of the base's error that the whole correction must gain on the watched weeks: these are few."""
MIN_WIDTH_FACTOR, MAX_WIDTH_FACTOR = 0.9, 1.6
"""Factors between which calibration moves p10 and p90."""
CALIBRATION_EDGES_HOURS = (0, 1, 2, 4, 7, 12, 24, 48, 96, FORECAST_HOURS)
"""Hours ahead between which calibration is the same."""
Network = Any


@dataclass(frozen=True)
class Epoch:
    """One pass over the samples."""

    number: int
    loss: float
    validation_loss: float
    is_last: bool


def seed_everything(seed: int) -> None:
    """Makes trainings repeatable: same samples and seed, same network, same bytes."""
    tf.get_logger().setLevel("ERROR")
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build_model(batch: int | None = None, hours: int | None = None) -> Network:
    """LSTMs over the last two weeks; each target hour joins them with its own calendar and residuals.

    Answers (n, hours, MEMBERS + 2): what each member adds to the base, and how far off p10 and p90 lie.
    """
    layers = tf.keras.layers
    past = tf.keras.Input((ENCODER_HOURS // ENCODER_STEP_HOURS, PAST_FEATURES), batch_size=batch, name="past")
    ahead = tf.keras.Input((hours, AHEAD_FEATURES), batch_size=batch, name="ahead")
    members = [_ensemble_member(past, ahead, layers) for _ in range(ENSEMBLE_SIZE)]
    return tf.keras.Model([past, ahead], layers.Concatenate()([*members, ahead[..., -2:]]))


def _ensemble_member(past: Any, ahead: Any, layers: Any) -> Any:
    """Begins as the base."""
    memory = layers.Dropout(DROPOUT_RATE)(layers.LSTM(LSTM_UNITS)(past))
    remembered = layers.Reshape((1, HIDDEN_UNITS))(layers.Dense(HIDDEN_UNITS)(memory))
    joined = layers.Activation("relu")(layers.Add()([remembered, layers.Dense(HIDDEN_UNITS)(ahead)]))
    joined = layers.Dense(HIDDEN_UNITS // 2, activation="relu")(layers.Dropout(DROPOUT_RATE)(joined))
    return layers.Dense(1, kernel_initializer="zeros")(joined)


def with_calibration(base_model: Network, weights: Float32s, batch: int | None = None) -> Network:
    """The network for all 169 hours, its members averaged and corrected by (169, MEMBERS + 2, 3) weights."""
    whole = build_model(batch, FORECAST_HOURS)
    whole.set_weights(base_model.get_weights())
    mixture = tf.keras.layers.EinsumDense("bkf,kfq->bkq", (FORECAST_HOURS, 3))
    network = tf.keras.Model(whole.inputs, mixture(whole.output))
    mixture.set_weights([weights])
    return network


def masked_mean_absolute_error(truth: Any, answer: Any) -> Any:
    """Mean absolute error of all members over the known hours."""
    known = tf.math.is_finite(truth)
    came = tf.clip_by_value(tf.where(known, truth, 0.0), -CLIP_STD, CLIP_STD)[..., None]
    weight = tf.cast(known, tf.float32)
    missed = tf.reduce_mean(tf.abs(came - answer[..., :ENSEMBLE_SIZE]), axis=-1)
    return tf.reduce_sum(missed * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def fit(base_model: Network, train: Samples, validation: Samples, epochs: int, seed: int) -> Iterator[Epoch]:
    """Fits a network until `watched` gets no better; says each epoch; ends with the best weights in place."""
    optimizer = tf.keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY, clipnorm=1.0)
    base_model.compile(optimizer, loss=masked_mean_absolute_error)
    rng = np.random.default_rng(seed)
    best, since, weights = _validation_loss(base_model, validation), 0, base_model.get_weights()
    for number in range(1, epochs + 1):
        optimizer.learning_rate.assign(LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * (number - 1) / epochs)))
        losses = [float(base_model.train_on_batch(asked, truth)) for asked, truth in _batches(train, rng)]
        loss = _validation_loss(base_model, validation)
        since += 1
        if loss < best:
            best, since, weights = loss, 0, base_model.get_weights()
        last = since >= EARLY_STOP_EPOCHS or number == epochs
        if last:
            base_model.set_weights(weights)
        yield Epoch(number, float(np.mean(losses)), loss, last)
        if last:
            return


def _validation_loss(base_model: Network, validation: Samples) -> float:
    asked = [validation.past, validation.ahead[:, VALIDATION_HORIZONS]]
    return float(base_model.evaluate(asked, validation.targets[:, VALIDATION_HORIZONS], batch_size=256, verbose=0))


def _batches(train: Samples, rng: np.random.Generator) -> Iterator[tuple[list[Float32s], Float32s]]:
    """All samples in another order, each batch with some of the hours ahead."""
    order = rng.permutation(len(train))
    for start in range(0, len(order), BATCH_SIZE):
        rows = np.resize(order[start : start + BATCH_SIZE], BATCH_SIZE)
        hours = np.concatenate(
            [
                rng.choice(24, NEAR_HOURS_PER_BATCH, False),
                24 + rng.choice(FORECAST_HOURS - 24, FAR_HOURS_PER_BATCH, False),
            ]
        )
        yield [train.past[rows], train.ahead[rows[:, None], hours]], train.targets[rows[:, None], hours]


def fit_calibration(base_model: Network, validation: Samples) -> Float32s:
    """Weights that correct a network on weeks that it has not learned: less of what it adds, other quantiles.

    The quantiles go half the way to split conformal prediction (Romano, Patterson and Candès, 2019), by which a tenth
    of the known hours lies below p10 and a tenth above p90: the weeks watched are few, and the profile's are near.
    """
    raw = base_model.predict([validation.past, validation.ahead], batch_size=256, verbose=0).astype(np.float64)
    weights = np.zeros((FORECAST_HOURS, ENSEMBLE_SIZE + 2, 3))
    for first, last in pairwise(CALIBRATION_EDGES_HOURS):
        parts, truth = raw[:, first:last], validation.targets[:, first:last]
        share, below, above = _calibration_factors(parts[..., :-2].mean(axis=-1), parts[..., -2], parts[..., -1], truth)
        weights[first:last, :ENSEMBLE_SIZE] = share / ENSEMBLE_SIZE
        weights[first:last, -2, 0], weights[first:last, -1, 2] = -below, above
    return weights.astype(np.float32)


def _calibration_factors(added: Floats, below: Floats, above: Floats, truth: Float32s) -> tuple[float, float, float]:
    """Share of what is added that is left, and factors on the distances of p10 and p90."""
    if np.isnan(truth).all():
        return 0.0, 1.0, 1.0
    price = MIN_GAIN * float(np.nanmean(np.abs(truth)))
    share = min(SHRINK_GRID, key=lambda share: float(np.nanmean(np.abs(truth - share * added))) + price * share)
    missed = truth - share * added
    low, high = (float(np.nanquantile(one, 0.9)) for one in (-missed / below, missed / above))
    below_by, above_by = (
        float(np.clip(np.sqrt(max(one, 0.0)), MIN_WIDTH_FACTOR, MAX_WIDTH_FACTOR)) for one in (low, high)
    )
    return share, below_by, above_by


def predict(network: Network, past: Float32s, ahead: Float32s) -> Float32s:
    """(n, 169, 3) quantiles of a calibrated network in usual deviations."""
    answers: Float32s = network.predict([past, ahead], batch_size=256, verbose=0)
    return answers


def to_litert(base_model: Network, weights: Float32s) -> bytes:
    """The calibrated network for LiteRT, with a static batch of one: a dynamic one needs Flex operations."""
    with redirect_stdout(StringIO()):  # it prints the address of each weight
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(with_calibration(base_model, weights, 1)).convert()
    return converted
