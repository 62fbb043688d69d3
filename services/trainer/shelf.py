"""All models of a site: which are kept, which serve, and another one put into use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from services.forecaster.manifest import ModelError, read_manifest
from services.trainer import folder
from services.trainer.plan import Trained
from shared.contract.messages import PROFILE_MODEL_ID


class Kept(NamedTuple):
    """A version of a channel's model."""

    trained: Trained
    used: bool


class Shelf:
    """`output/Learning_lstm/{channel}/{sensor}/` below the data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._models = data / "output/Learning_lstm"

    def in_use(self) -> Iterator[Trained]:
        """What serves, by the manifests; ends what a kill has left half done."""
        for place in self._places():
            with folder.alone(place):
                folder.mend(place)
        return folder.in_use(self._models)

    def kept(self) -> Iterator[Kept]:
        """Every version by channel, oldest first; where the profile was put into use, it comes last."""
        for place in self._places():
            used = None
            with suppress(ModelError):
                used = folder.trained_of(place, read_manifest(place))
            for version in sorted((place / "versions").glob("[!.]*")):
                with suppress(ModelError):
                    one = folder.trained_of(place, read_manifest(version))
                    yield Kept(used, True) if used and used.id == one.id else Kept(one, False)
            if used and used.id == PROFILE_MODEL_ID:
                yield Kept(used, True)

    def use(self, wanted: str, at: int, why: str, sensor: str = "", channel: str = "") -> list[Trained]:
        """Puts a kept version, or `profile`, into use from `at` (epoch seconds); of one sensor or channel only.

        Raises ModelError when there is no such version, or it is not whole; then nothing has changed. Where no model
        was ever kept, the profile is in use already.
        """
        places = [
            place
            for place in self._places()
            if sensor in ("", place.name) and channel in ("", place.parent.name) and _has(place, wanted)
        ]
        if not places and (wanted != PROFILE_MODEL_ID or sensor or channel):
            raise ModelError(f"there is no model {wanted} of this sensor and channel; ./wvr models lists them")
        if wanted != PROFILE_MODEL_ID:
            for place in places:
                folder.whole(place / "versions" / wanted)
        return [self._exchange(place, wanted, at, why) for place in places]

    def _exchange(self, place: Path, wanted: str, at: int, why: str) -> Trained:
        said = {"at": at, "path": place.relative_to(self._data).as_posix(), "promoted": True, "reason": why}
        with folder.alone(place):
            folder.mend(place)
            if wanted == PROFILE_MODEL_ID:
                span = {"trained_from": at, "trained_to": at, "metrics": {}}
                folder.retire(place, {"sensor": place.name, "channel": place.parent.name, **span, **said})
            else:
                folder.promote(place, wanted, said)
            return folder.trained_of(place, read_manifest(place))

    def _places(self) -> list[Path]:
        return sorted(self._models.glob("*/*/"))


def _has(place: Path, wanted: str) -> bool:
    if wanted == PROFILE_MODEL_ID:
        return (place / "versions").is_dir()
    return wanted in {path.name for path in (place / "versions").glob("[!.]*")}
