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
from shared.domain.features import AHEAD_WIDTH, PAST, PAST_WIDTH, STEP, Single
from shared.domain.profile import AHEAD
from shared.domain.series import Floats

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
LEARNING_RATE = 3e-4
DECAY = 1e-2
PATIENCE = 4
"""Epochs without a better validation loss after which training stops."""
SHARES = np.linspace(0.0, 1.0, 11)
"""What calibration may leave of the network's correction of the base."""
PAYS = 0.01
"""Part of the base's error that the whole correction must gain on the watched weeks: these are few."""
NARROWEST, WIDEST = 0.9, 1.6
"""Factors between which calibration moves p10 and p90."""
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
    tf.get_logger().setLevel("ERROR")
    tf.keras.backend.clear_session()
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(batch: int | None = None, hours: int | None = None) -> Network:
    """LSTMs over the last two weeks; each target hour joins them with its own calendar and residuals.

    Answers (n, hours, MEMBERS + 2): what each member adds to the base, and how far off p10 and p90 lie.
    """
    layers = tf.keras.layers
    past = tf.keras.Input((PAST // STEP, PAST_WIDTH), batch_size=batch, name="past")
    ahead = tf.keras.Input((hours, AHEAD_WIDTH), batch_size=batch, name="ahead")
    members = [_member(past, ahead, layers) for _ in range(MEMBERS)]
    return tf.keras.Model([past, ahead], layers.Concatenate()([*members, ahead[..., -2:]]))


def _member(past: Any, ahead: Any, layers: Any) -> Any:
    """Begins as the base."""
    memory = layers.Dropout(DROPPED)(layers.LSTM(UNITS)(past))
    remembered = layers.Reshape((1, HIDDEN))(layers.Dense(HIDDEN)(memory))
    joined = layers.Activation("relu")(layers.Add()([remembered, layers.Dense(HIDDEN)(ahead)]))
    joined = layers.Dense(HIDDEN // 2, activation="relu")(layers.Dropout(DROPPED)(joined))
    return layers.Dense(1, kernel_initializer="zeros")(joined)


def calibrated(core: Network, weights: Single, batch: int | None = None) -> Network:
    """The network for all 169 hours, its members averaged and corrected by (169, MEMBERS + 2, 3) weights."""
    whole = build(batch, AHEAD)
    whole.set_weights(core.get_weights())
    mixture = tf.keras.layers.EinsumDense("bkf,kfq->bkq", (AHEAD, 3))
    network = tf.keras.Model(whole.inputs, mixture(whole.output))
    mixture.set_weights([weights])
    return network


def mean_error(truth: Any, answer: Any) -> Any:
    """Mean absolute error of all members over the known hours."""
    known = tf.math.is_finite(truth)
    came = tf.clip_by_value(tf.where(known, truth, 0.0), -OUTLIER, OUTLIER)[..., None]
    weight = tf.cast(known, tf.float32)
    missed = tf.reduce_mean(tf.abs(came - answer[..., :MEMBERS]), axis=-1)
    return tf.reduce_sum(missed * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def train(core: Network, learned: Samples, watched: Samples, epochs: int, seed: int) -> Iterator[Epoch]:
    """Fits a network until `watched` gets no better; says each epoch; ends with the best weights in place."""
    optimizer = tf.keras.optimizers.AdamW(LEARNING_RATE, weight_decay=DECAY, clipnorm=1.0)
    core.compile(optimizer, loss=mean_error)
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
    """Weights that correct a network on weeks that it has not learned: less of what it adds, other quantiles.

    The quantiles go half the way to split conformal prediction (Romano, Patterson and Candès, 2019), by which a tenth
    of the known hours lies below p10 and a tenth above p90: the weeks watched are few, and the profile's are near.
    """
    raw = core.predict([watched.past, watched.ahead], batch_size=256, verbose=0).astype(np.float64)
    weights = np.zeros((AHEAD, MEMBERS + 2, 3))
    for first, last in pairwise(SPANS):
        parts, truth = raw[:, first:last], watched.truth[:, first:last]
        share, below, above = _correct(parts[..., :-2].mean(axis=-1), parts[..., -2], parts[..., -1], truth)
        weights[first:last, :MEMBERS] = share / MEMBERS
        weights[first:last, -2, 0], weights[first:last, -1, 2] = -below, above
    return weights.astype(np.float32)


def _correct(added: Floats, below: Floats, above: Floats, truth: Single) -> tuple[float, float, float]:
    """Share of what is added that is left, and factors on the distances of p10 and p90."""
    if np.isnan(truth).all():
        return 0.0, 1.0, 1.0
    price = PAYS * float(np.nanmean(np.abs(truth)))
    share = min(SHARES, key=lambda share: float(np.nanmean(np.abs(truth - share * added))) + price * share)
    missed = truth - share * added
    low, high = (float(np.nanquantile(one, 0.9)) for one in (-missed / below, missed / above))
    below_by, above_by = (float(np.clip(np.sqrt(max(one, 0.0)), NARROWEST, WIDEST)) for one in (low, high))
    return share, below_by, above_by


def answer(network: Network, past: Single, ahead: Single) -> Single:
    """(n, 169, 3) quantiles of a calibrated network in usual deviations."""
    answers: Single = network.predict([past, ahead], batch_size=256, verbose=0)
    return answers


def to_litert(core: Network, weights: Single) -> bytes:
    """The calibrated network for LiteRT, with a static batch of one: a dynamic one needs Flex operations."""
    with redirect_stdout(StringIO()):  # it prints the address of each weight
        converted: bytes = tf.lite.TFLiteConverter.from_keras_model(calibrated(core, weights, 1)).convert()
    return converted
