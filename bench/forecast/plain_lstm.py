"""The network of the first version: an LSTM over the last sixty raw minutes, one output for each hour ahead."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.domain.profile_forecast import FORECAST_HOURS
from shared.domain.series import Floats

INPUT_MINUTES, LSTM_UNITS, EPOCHS = 60, 64, 5


class PlainLstm:
    """An LSTM on minutes scaled to 0 … 1, as in the first version; here each channel has its own scale."""

    def __init__(self, minutes: Floats, hours: Floats, stop: int) -> None:
        """Fit to minutes (60 n) and hourly means (n) of a channel before the hour `stop`."""
        import tensorflow as tf

        tf.keras.utils.set_random_seed(1)
        self.minutes = _interpolate_gaps(minutes)
        low, high = np.nanquantile(minutes[: stop * 60], (0.001, 0.999))
        self.low, self.span = low, max(high - low, 1e-9)
        issued = np.arange(24, stop - FORECAST_HOURS, 2)
        targets = np.stack([hours[hour : hour + FORECAST_HOURS] for hour in issued])
        is_complete = ~np.isnan(targets).any(axis=1)
        layers = tf.keras.layers
        self.network: Any = tf.keras.Sequential(
            [tf.keras.Input((INPUT_MINUTES, 1)), layers.LSTM(LSTM_UNITS), layers.Dense(FORECAST_HOURS)]
        )
        self.network.compile("adam", "mse")
        inputs, outputs = self._windows(issued[is_complete]), self._scaled(targets[is_complete])
        self.network.fit(inputs, outputs, epochs=EPOCHS, batch_size=64, verbose=0)

    def forecasts(self, issued: np.ndarray) -> Floats:
        """Return forecasts (n, 169) in the channel's unit, issued at hours (indices)."""
        outputs = self.network.predict(self._windows(issued), batch_size=256, verbose=0)
        return np.asarray(self.low + self.span * outputs)

    def _windows(self, issued: np.ndarray) -> Floats:
        windows = np.stack([self.minutes[60 * hour - INPUT_MINUTES : 60 * hour] for hour in issued.tolist()])
        return self._scaled(windows)[..., None]

    def _scaled(self, values: Floats) -> Floats:
        return np.asarray(np.clip((values - self.low) / self.span, -1.0, 2.0))


def _interpolate_gaps(minutes: Floats) -> Floats:
    known = np.flatnonzero(~np.isnan(minutes))
    return np.asarray(np.interp(np.arange(len(minutes)), known, minutes[known]))
