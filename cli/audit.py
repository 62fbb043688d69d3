"""`./wvr audit`: what is in each image (SBOM, CycloneDX), and whether any of it is known to be vulnerable."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from cli.bootstrap import ROOT, CommandError

IMAGES = ("core", "forecasting", "learning")
ALL_THAT_RUNS = "local"
VULNERABLE, NOT_AUDITED = 1, 2


def main(arguments: list[str]) -> int:
    """Exit code 0: all was looked up and nothing is known; 1: vulnerable; 2: not, or not all, could be looked up."""
    parser = argparse.ArgumentParser(prog="wvr audit", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "sbom", help="folder of the SBOMs, default: sbom")
    parser.add_argument("--osv-url", metavar="URL", help="an OSV service to ask instead of PyPI")
    wanted = parser.parse_args(arguments)
    out: Path = wanted.out
    out.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        file = out / f"wvr-{image}.cdx.json"
        file.write_text(bill_of_materials(image), encoding="utf-8")
        print(file, flush=True)
    code, words = audit_result(*ask(wanted.osv_url))
    print(words)
    return code


def bill_of_materials(image: str) -> str:
    """CycloneDX (JSON) of what pip installs in an image on this machine, the same each time."""
    lock = (ROOT / f"requirements/{image}.txt").read_text(encoding="utf-8")
    options = ("--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--no-validate")
    made = _run("cyclonedx_py", "requirements", *options, "-", text="".join(installed(lock)))
    if made.returncode:
        raise CommandError(f"no SBOM of {image}: {made.stderr.strip()}")
    return made.stdout


def ask(osv_url: str | None) -> tuple[str, str]:
    """What pip-audit reports, and what it says besides, of all that runs; without an OSV service it asks PyPI."""
    service = ("--vulnerability-service", "osv", "--osv-url", osv_url) if osv_url else ()
    lock = str(ROOT / f"requirements/{ALL_THAT_RUNS}.txt")
    options = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    asked = _run("pip_audit", "-r", lock, *options, *service)
    return asked.stdout, asked.stderr


def installed(lock: str) -> Iterator[str]:
    """The entries of a lock file that are for this platform and Python, which are the image's."""
    for entry in re.split(r"\n(?=\S)", lock):
        marker = Requirement(re.split(r"\s\\?\s*--hash", entry)[0].rstrip(" \\\n")).marker
        if marker is None or marker.evaluate():
            yield f"{entry.rstrip()}\n"


def audit_result(report: str, said: str) -> tuple[int, str]:
    """Exit code and words for what pip-audit reports (JSON) and says; a package it skips was not audited."""
    try:
        packages = json.loads(report)["dependencies"]
    except ValueError:
        return NOT_AUDITED, f"NOT audited, pip-audit got no answer: {said.strip().splitlines()[-1:]}"
    found = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in packages
        for flaw in one.get("vulns", ())
    ]
    skipped = [one["skip_reason"] for one in packages if "vulns" not in one]
    if found:
        return VULNERABLE, "\n".join(("known to be vulnerable:", *found))
    if skipped or not packages:
        why = skipped[0] if skipped else "the lock file is empty"
        return NOT_AUDITED, f"NOT audited: {len(skipped)} of {len(packages)} packages, the first: {why}"
    return 0, f"no known vulnerability in {len(packages)} packages"


def _run(module: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)
