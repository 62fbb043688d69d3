"""Fuzz one target in its own process: `python -m bench.fuzz.run TARGET FOLDER`, then options of libFuzzer."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["services", "shared"]):
    from bench.fuzz.targets import TARGETS


def main() -> None:
    logging.disable(logging.CRITICAL)
    _, name, folder_name, *options = sys.argv
    target, folder = TARGETS[name], Path(folder_name)
    work, corpus = folder / "work", folder / "corpus"
    for new_folder in (work, corpus):
        new_folder.mkdir(parents=True)
    with atheris.instrument_imports(include=["services", "shared"]):
        run_input = target.open(name, work)
    for number, seed in enumerate(target.seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_len={target.max_bytes}", "-timeout=30", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *limits, *options, str(corpus)], run_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
