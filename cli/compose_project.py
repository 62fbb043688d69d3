"""The name of this clone's Compose project, and with it that of the broker's volume. Standard library only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess

from cli.bootstrap import ROOT

VARIABLE = "COMPOSE_PROJECT_NAME"
FORMER_PROJECT = "wvr"
"""Project of every site, whatever its folder, up to version 0.2."""
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
Ask = Callable[..., CompletedProcess[str]]
"""Runs a command and returns its output."""


def folder_project() -> str:
    """Return the name that Compose derives from the clone's folder; empty if it has no Latin letter or digit."""
    return re.sub(r"[^-_a-z0-9]", "", ROOT.name.lower()).lstrip("-_")


@cache
def project_name(data: Path, ask: Ask) -> str:
    """Return the project of the site with this data folder: as set, as of its containers, or as its clone is called.

    A site that version 0.2 has stopped has no containers; it keeps the project whose volume it has used.
    """
    if name := os.environ.get(VARIABLE):
        return name
    own = folder_project() or FORMER_PROJECT
    projects = dict(_projects(ask))
    for name, folder in projects.items():
        if folder == data.resolve():
            return name
    ran_in_docker = (data / "secrets/broker/passwd").exists()
    if ran_in_docker and FORMER_PROJECT not in projects and _has_volume(FORMER_PROJECT, ask):
        return own if _has_volume(own, ask) else FORMER_PROJECT
    return own


def keep_name(name: str) -> None:
    """Write the name into .env if Compose alone would derive another one."""
    file = ROOT / ".env"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if VARIABLE not in os.environ and name != folder_project():
        file.write_text(f"{text.rstrip()}\n{VARIABLE}={name}\n".lstrip(), encoding="utf-8")
        print(f"this site keeps the Compose project {name}: written to {file}", flush=True)


def data_folder_of(container: dict[str, object]) -> Path | None:
    """Return the data folder that a container of WVR uses, from its description."""
    mounts = container["Mounts"]
    assert isinstance(mounts, list)
    return next((Path(mount["Source"]).resolve() for mount in mounts if mount["Destination"] == "/data"), None)


def _projects(ask: Ask) -> Iterator[tuple[str, Path]]:
    """Yield the projects of all sites on this machine, running or stopped, with their data folders."""
    identifiers = ask("docker", "ps", "--all", "--quiet", "--filter", f"label={SERVICE_LABEL}=init").stdout.split()
    for container in json.loads(ask("docker", "inspect", *identifiers).stdout or "[]") if identifiers else []:
        if folder := data_folder_of(container):
            yield container["Config"]["Labels"][PROJECT_LABEL], folder


def _has_volume(project: str, ask: Ask) -> bool:
    return ask("docker", "volume", "inspect", f"{project}_broker").returncode == 0
