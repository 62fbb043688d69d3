"""The result of a channel's training, as its model's manifest stores it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from shared.contract.messages import LocalizedText


@dataclass(frozen=True)
class TrainingResult:
    """A trained model of one channel."""

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
    reason: LocalizedText
    """Why it was promoted or not, or activated."""
    metrics: dict[str, float] = field(default_factory=dict)
    demotion: bool = False
    """Whether the profile has replaced a model that was worse than it."""

    def to_manifest(self) -> dict[str, Any]:
        """Return the keys of manifest.json; the reason has one key per language."""
        return {**asdict(self), **reason_keys(self.reason)}


def reason_keys(reason: LocalizedText) -> dict[str, str]:
    """Return the keys of manifest.json with a reason."""
    return {"reason": reason.en, "reason_ko": reason.ko}
