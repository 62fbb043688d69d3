"""`./wvr audit`: write an SBOM (CycloneDX) for each image and look up known vulnerabilities."""

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

IMAGES = ("core", "forecasting", "learning", "dashboard", "notifier")
ALL_THAT_RUNS = "local"
VULNERABLE, NOT_AUDITED = 1, 2


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(prog="./wvr audit", description=__doc__)
    command.add_argument("--out", type=Path, default=ROOT / "sbom", help="output folder of the SBOMs, default: sbom")
    command.add_argument("--osv-url", metavar="URL", help="OSV service to query instead of PyPI")
    return command


def main(arguments: list[str]) -> int:
    """Return 0 if no vulnerability is known, 1 if one is, 2 if not all packages could be looked up."""
    options = parser().parse_args(arguments)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        file = out / f"wvr-{image}.cdx.json"
        file.write_text(bill_of_materials(image), encoding="utf-8")
        print(file, flush=True)
    code, summary = audit_result(*query_advisories(options.osv_url))
    print(summary)
    return code


def bill_of_materials(image: str) -> str:
    """Return the reproducible CycloneDX JSON of the packages that pip installs in an image on this platform."""
    lock = (ROOT / f"requirements/{image}.txt").read_text(encoding="utf-8")
    options = ("--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--no-validate")
    done = _run("cyclonedx_py", "requirements", *options, "-", text="".join(installed(lock)))
    if done.returncode:
        raise CommandError(f"no SBOM of {image}: {done.stderr.strip()}")
    return done.stdout


def query_advisories(osv_url: str | None) -> tuple[str, str]:
    """Return pip-audit's report (JSON) and its stderr for all runtime packages, from an OSV service or PyPI."""
    service = ("--vulnerability-service", "osv", "--osv-url", osv_url) if osv_url else ()
    lock = str(ROOT / f"requirements/{ALL_THAT_RUNS}.txt")
    options = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    done = _run("pip_audit", "-r", lock, *options, *service)
    return done.stdout, done.stderr


def installed(lock: str) -> Iterator[str]:
    """Yield the entries of a lock file that apply to this platform and Python, as in the image."""
    for entry in re.split(r"\n(?=\S)", lock):
        marker = Requirement(re.split(r"\s\\?\s*--hash", entry)[0].rstrip(" \\\n")).marker
        if marker is None or marker.evaluate():
            yield f"{entry.rstrip()}\n"


def audit_result(report: str, stderr: str) -> tuple[int, str]:
    """Return exit code and summary for pip-audit's report (JSON) and stderr.

    A skipped package counts as not audited.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except ValueError:
        return NOT_AUDITED, f"NOT audited: pip-audit got no answer: {stderr.strip().splitlines()[-1:]}"
    vulnerabilities = [
        f"{package['name']} {package['version']}: {flaw['id']}, "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no version'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    skipped = [package["skip_reason"] for package in packages if "vulns" not in package]
    if vulnerabilities:
        return VULNERABLE, "\n".join(("known vulnerabilities:", *vulnerabilities))
    if skipped or not packages:
        reason = skipped[0] if skipped else "the lock file is empty"
        return NOT_AUDITED, f"NOT audited: {len(skipped)} of {len(packages)} packages, the first: {reason}"
    return 0, f"no known vulnerability in {len(packages)} packages"


def _run(module: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)
