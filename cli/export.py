"""`./wvr export TABLE --data DIR --out FILE.csv`: write a table of wvr.db as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shared.settings import load_settings
from shared.store.export import QUERIES, export


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr export", description=__doc__)
    command.add_argument("table", choices=QUERIES)
    command.add_argument("--data", type=Path, help="folder of wvr.db; default: the site's own")
    command.add_argument("--out", type=Path, required=True)
    return command


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    data = options.data or load_settings().data
    try:
        rows = export(data / "wvr.db", options.table, options.out)
    except OSError as error:
        print(f"wvr export: {error}", file=sys.stderr)
        return 1
    print(f"{rows} rows of {options.table} in {options.out}")
    return 0
