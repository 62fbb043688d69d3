"""The LSTM of one channel, its training and its LiteRT form; the only place of TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from services.trainer.samples import Samples
from shared.domain.features import AHEAD_WIDTH, PAST, PAST_WIDTH, STEP, Single
from shared.domain.profile import AHEAD
from shared.domain.series import Floats

QUANTILES = (0.1, 0.5, 0.9)
MEMBERS = 3
"""Networks of other first weights, whose answers are averaged in one file."""
UNITS, HIDDEN = 32, 48
DROPPED = 0.3
"""Share of dropout: one site's year is little, and its weeks resemble each other."""
BATCH = 64
NEAR, FAR = 8, 16
"""Hours of the first day and of those after it that a batch learns, drawn anew for each: all resemble each other."""
TOLD = np.array([*range(0, 24, 4), *range(24, AHEAD, 16)])
"""Hours ahead by which an epoch is judged."""
OUTLIER = 8.0
"""Surprises beyond this many usual deviations are learned as if they were so many."""
LEARNING_RATE = 2e-3
DECAY = 1e-2
PATIENCE = 4
"""Epochs without a better validation loss after which training stops."""
SHARES = np.linspace(0.0, 1.2, 13)
"""What calibration may leave of the network's correction of the base."""
SPANS = (0, 1, 2, 4, 7, 12, 24, 48, 96, AHEAD)
"""Hours ahead between which calibration is the same."""
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


def build(batch: int | None = None, hours: int | None = None) -> Network:
    """LSTMs over the last two weeks; each target hour joins them with its own calendar and residuals.

    Answers (n, hours, 3 * MEMBERS): of each member the middle, and how far p10 lies below and p90 above it.
    """
    layers = tf.keras.layers
    past = tf.keras.Input((PAST // STEP, PAST_WIDTH), batch_size=batch, name="past")
    ahead = tf.keras.Input((hours, AHEAD_WIDTH), batch_size=batch, name="ahead")
    members = [_member(past, ahead, layers) for _ in range(MEMBERS)]
    return tf.keras.Model([past, ahead], layers.Concatenate()(members))


def _member(past: Any, ahead: Any, layers: Any) -> Any:
    """Begins as the base with the spread of its own errors."""
    memory = layers.Dropout(DROPPED)(layers.LSTM(UNITS)(past))
    remembered = layers.Reshape((1, HIDDEN))(layers.Dense(HIDDEN)(memory))
    joined = layers.Activation("relu")(layers.Add()([remembered, layers.Dense(HIDDEN)(ahead)]))
    joined = layers.Dense(HIDDEN // 2, activation="relu")(layers.Dropout(DROPPED)(joined))
    middle = layers.Dense(1, kernel_initializer="zeros")(joined)
    as_before = tf.keras.initializers.Constant(np.log(np.e - 1))
    wider = layers.Dense(2, "softplus", kernel_initializer="zeros", bias_initializer=as_before)(joined)
    return layers.Concatenate()([middle, layers.Multiply()([wider, ahead[..., -2:]])])


def calibrated(core: Network, weights: Single, batch: int | None = None) -> Network:
    """The network for all 169 hours, its members averaged and corrected by (169, 3 * MEMBERS, 3) weights."""
    whole = build(batch, AHEAD)
    whole.set_weights(core.get_weights())
    mixture = tf.keras.layers.EinsumDense("bkf,kfq->bkq", (AHEAD, 3))
    network = tf.keras.Model(whole.inputs, mixture(whole.output))
    mixture.set_weights([weights])
    return network


def pinball(truth: Any, answer: Any) -> Any:
    """Mean quantile loss (Koenker and Bassett, 1978) of all members over the known hours."""
    known = tf.math.is_finite(truth)
    came = tf.clip_by_value(tf.where(known, truth, 0.0), -OUTLIER, OUTLIER)[..., None]
    middle, below, above = answer[..., 0::3], answer[..., 1::3], answer[..., 2::3]
    loss = tf.zeros_like(middle)
    for level, quantile in zip(QUANTILES, (middle - below, middle, middle + above), strict=True):
        loss += tf.maximum(level * (came - quantile), (level - 1.0) * (came - quantile))
    weight = tf.cast(known, tf.float32)
    return tf.reduce_sum(tf.reduce_mean(loss, axis=-1) * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def train(core: Network, learned: Samples, watched: Samples, epochs: int, seed: int) -> Iterator[Epoch]:
    """Fits a network until `watched` gets no better; says each epoch; ends with the best weights in place."""
    optimizer = tf.keras.optimizers.AdamW(LEARNING_RATE, weight_decay=DECAY, clipnorm=1.0)
    core.compile(optimizer, loss=pinball)
    rng = np.random.default_rng(seed)
    best, since, weights = _loss(core, watched), 0, core.get_weights()
    for number in range(1, epochs + 1):
        optimizer.learning_rate.assign(LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * (number - 1) / epochs)))
        losses = [float(core.train_on_batch(asked, truth)) for asked, truth in _batches(learned, rng)]
        loss = _loss(core, watched)
        since += 1
        if loss < best:
            best, since, weights = loss, 0, core.get_weights()
        last = since >= PATIENCE or number == epochs
        if last:
            core.set_weights(weights)
        yield Epoch(number, float(np.mean(losses)), loss, last)
        if last:
            return


def _loss(core: Network, watched: Samples) -> float:
    asked = [watched.past, watched.ahead[:, TOLD]]
    return float(core.evaluate(asked, watched.truth[:, TOLD], batch_size=256, verbose=0))


def _batches(learned: Samples, rng: np.random.Generator) -> Iterator[tuple[list[Single], Single]]:
    """All samples in another order, each batch with some of the hours ahead."""
    order = rng.permutation(len(learned))
    for start in range(0, len(order), BATCH):
        rows = np.resize(order[start : start + BATCH], BATCH)
        hours = np.concatenate([rng.choice(24, NEAR, False), 24 + rng.choice(AHEAD - 24, FAR, False)])
        yield [learned.past[rows], learned.ahead[rows[:, None], hours]], learned.truth[rows[:, None], hours]


def calibration(core: Network, watched: Samples) -> Single:
    """Weights that correct a network on weeks that it has not learned: less of its correction, wider quantiles.

    The spread follows split conformal prediction (Romano, Patterson and Candès, 2019): a tenth of the known hours
    lies below p10 and a tenth above p90, near and far.
    """
    raw = core.predict([watched.past, watched.ahead], batch_size=256, verbose=0).astype(np.float64)
    parts = raw.reshape(*raw.shape[:2], MEMBERS, 3).mean(axis=2)
    weights = np.zeros((AHEAD, MEMBERS, 3, 3))
    for first, last in pairwise(SPANS):
        corrected = _correct(parts[:, first:last], watched.truth[:, first:last])
        weights[first:last] = corrected / MEMBERS
    return weights.reshape(AHEAD, 3 * MEMBERS, 3).astype(np.float32)


def _correct(parts: Floats, truth: Single) -> Floats:
    """(3, 3) weights that make p10, p50, p90 of the middle and what lies below and above it: never crossed."""
    middle, below, above = np.moveaxis(parts, -1, 0)
    if np.isnan(truth).all():
        return np.array([[0.0] * 3, [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    share = min(SHARES, key=lambda share: float(np.nanmean(np.abs(truth - share * middle))))
    missed = truth - share * middle
    low, high = (np.nanquantile(one, 0.9) for one in (-missed / below, missed / above))
    return np.array([[share] * 3, [-max(low, 0.1), 0.0, 0.0], [0.0, 0.0, max(high, 0.1)]])


def answer(network: Network, past: Single, ahead: Single) -> Single:
    """(n, 169, 3) quantiles of a calibrated network in usual deviations."""
    answers: Single = network.predict([past, ahead], batch_size=256, verbose=0)
    return answers


def to_litert(core: Network, weights: Single) -> bytes:
    """The calibrated network for LiteRT, with a static batch of one: a dynamic one needs Flex operations."""
    converted: bytes = tf.lite.TFLiteConverter.from_keras_model(calibrated(core, weights, 1)).convert()
    return converted
