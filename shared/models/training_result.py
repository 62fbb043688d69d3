"""The result of a channel's training, as its model's manifest stores it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrainingResult:
    """A trained model of one channel; the fields are keys of manifest.json."""

    sensor: str
    channel: str
    at: int
    """Time of the training or the newest activation, epoch seconds."""
    id: str
    path: str
    """Folder of the model, relative to the data folder."""
    checksum: str
    trained_from: int
    """Start of the training data, epoch seconds."""
    trained_to: int
    """End of the training data (exclusive), epoch seconds."""
    promoted: bool
    reason: str
    metrics: dict[str, float] = field(default_factory=dict)
