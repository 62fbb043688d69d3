"""The LSTM of one channel, its training and its LiteRT form; the only place of TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from services.trainer.samples import Samples
from shared.domain.features import AHEAD_WIDTH, PAST, PAST_WIDTH, STEP, Single
from shared.domain.profile import AHEAD

QUANTILES = (0.1, 0.5, 0.9)
UNITS = 48
HIDDEN = 64
DROPPED = 0.3
"""Share of dropout: one site's year is little, and its weeks resemble each other."""
BATCH = 64
LEARNING_RATE = 2e-3
DECAY = 1e-2
PATIENCE = 5
"""Epochs without a better validation loss after which training stops."""
SHARES = np.linspace(0.0, 1.2, 13)
"""What calibration may leave of the network's correction of the base."""
Network = Any


@dataclass(frozen=True)
class Epoch:
    """One pass over the samples."""

    number: int
    loss: float
    validation: float
    last: bool


def seed_everything(seed: int) -> None:
    """Makes trainings repeatable: same samples and seed, same network, same bytes."""
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(batch: int | None = None) -> Network:
    """LSTM over the last two weeks; each target hour joins it with its own calendar and level; ordered quantiles."""
    layers = tf.keras.layers
    past = tf.keras.Input((PAST // STEP, PAST_WIDTH), batch_size=batch, name="past")
    ahead = tf.keras.Input((AHEAD, AHEAD_WIDTH), batch_size=batch, name="ahead")
    memory = layers.LSTM(UNITS, name="encoder")(past)
    memory = layers.Dropout(DROPPED)(memory)
    remembered = layers.RepeatVector(AHEAD)(layers.Dense(HIDDEN)(memory))
    joined = layers.Activation("relu")(layers.Add()([remembered, layers.Dense(HIDDEN)(ahead)]))
    joined = layers.Dropout(DROPPED)(joined)
    joined = layers.Dense(HIDDEN // 2, activation="relu")(joined)
    middle = layers.Dense(1, kernel_initializer="zeros", name="middle")(joined)
    spread = layers.Dense(2, activation="softplus", name="spread")(joined)
    ordered = layers.Dense(3, use_bias=False, trainable=False, name="quantiles")
    quantiles = ordered(layers.Concatenate()([middle, spread]))
    ordered.set_weights([mixture(1.0, 1.0, 1.0)])
    return tf.keras.Model([past, ahead], quantiles)


def pinball(truth: Any, answer: Any) -> Any:
    """Mean quantile loss (Koenker and Bassett, 1978) over the known hours."""
    known = tf.math.is_finite(truth)
    error = tf.where(known, truth, 0.0)[..., None] - answer
    levels = tf.constant(QUANTILES)
    loss = tf.reduce_sum(tf.maximum(levels * error, (levels - 1.0) * error), axis=-1)
    weight = tf.cast(known, tf.float32)
    return tf.reduce_sum(loss * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def train(network: Network, learned: Samples, watched: Samples, epochs: int) -> Iterator[Epoch]:
    """Fits a network until `watched` gets no better; says each epoch; ends with the best weights in place."""
    optimizer = tf.keras.optimizers.AdamW(LEARNING_RATE, weight_decay=DECAY, clipnorm=1.0)
    network.compile(optimizer, loss=pinball)
    best, since, weights = np.inf, 0, network.get_weights()
    for number in range(1, epochs + 1):
        optimizer.learning_rate.assign(LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * (number - 1) / epochs)))
        fitted = network.fit([learned.past, learned.ahead], learned.truth, batch_size=BATCH, verbose=0)
        loss = float(network.evaluate([watched.past, watched.ahead], watched.truth, batch_size=256, verbose=0))
        since += 1
        if loss < best:
            best, since, weights = loss, 0, network.get_weights()
        last = since >= PATIENCE or number == epochs
        if last:
            network.set_weights(weights)
        yield Epoch(number, float(fitted.history["loss"][-1]), loss, last)
        if last:
            return


def mixture(share: float, below: float, above: float) -> Single:
    """Weights (3, 3) that make p10, p50, p90 of the middle and what lies below and above it: never crossed."""
    return np.array([[share] * 3, [-below, 0.0, 0.0], [0.0, 0.0, above]], dtype=np.float32)


def calibrate(network: Network, watched: Samples) -> None:
    """Corrects a network on weeks that it has not learned: less of its correction, wider quantiles, as they need it.

    The spread follows split conformal prediction (Romano, Patterson and Candès, 2019): a tenth of the known hours
    lies below p10 and a tenth above p90.
    """
    raw = answer(network, watched.past, watched.ahead).astype(np.float64)
    truth = watched.truth
    middle = raw[..., 1]
    share = min(SHARES, key=lambda share: float(np.nanmean(np.abs(truth - share * middle))))
    missed = truth - share * middle
    below = np.nanquantile(-missed / np.maximum(middle - raw[..., 0], 1e-6), 0.9)
    above = np.nanquantile(missed / np.maximum(raw[..., 2] - middle, 1e-6), 0.9)
    network.get_layer("quantiles").set_weights([mixture(share, max(below, 0.0), max(above, 0.0))])


def answer(network: Network, past: Single, ahead: Single) -> Single:
    """(n, 169, 3) quantiles in usual deviations."""
    answers: Single = network.predict([past, ahead], batch_size=256, verbose=0)
    return answers


def to_litert(network: Network) -> bytes:
    """The same network for LiteRT, with a static batch of one: a dynamic one needs Flex operations."""
    single = build(batch=1)
    single.set_weights(network.get_weights())
    converted: bytes = tf.lite.TFLiteConverter.from_keras_model(single).convert()
    return converted
