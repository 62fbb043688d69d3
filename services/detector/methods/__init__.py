"""The four methods: each module has `fit` for training days, and a class that checks minute by minute."""

from services.detector.methods import forecast_deviation, level_shift, night_flow, sensor_health

METHODS = {
    "system": sensor_health.SensorHealth,
    "value": level_shift.LevelShiftDetector,
    "prediction": forecast_deviation.ForecastDeviation,
    "night": night_flow.NightFlowDetector,
}
"""Method name on the wire to the class that checks."""

__all__ = ["METHODS"]
