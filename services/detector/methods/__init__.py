"""The four methods, one file each: a `learn` over past days, and a running side that checks minute by minute."""

from services.detector.methods import night, prediction, system, value

METHODS = {"system": system.System, "value": value.Value, "prediction": prediction.Prediction, "night": night.Night}
"""Running side of each method, by the method's name in the messages."""

__all__ = ["METHODS", "night", "prediction", "system", "value"]
