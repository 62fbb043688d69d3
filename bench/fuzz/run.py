"""One target in a process of its own: `python -m bench.fuzz.run TARGET FOLDER` and the options of libFuzzer."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["services", "shared"]):
    from bench.fuzz.targets import TARGETS


def main() -> None:
    logging.disable(logging.CRITICAL)
    _, name, place, *options = sys.argv
    target, folder = TARGETS[name], Path(place)
    work, corpus = folder / "work", folder / "corpus"
    for made in (work, corpus):
        made.mkdir(parents=True)
    with atheris.instrument_imports(include=["services", "shared"]):
        take = target.open(name, work)
    for number, seed in enumerate(target.seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_len={target.longest}", "-timeout=30", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *limits, *options, str(corpus)], take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
