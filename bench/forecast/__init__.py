"""Forecast accuracy on ten real districts, and on simulated ones through ./wvr replay."""
