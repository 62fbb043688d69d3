"""WVR in Docker Compose. Standard library only, so that a machine with Docker needs no Python packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.bootstrap import ROOT, CommandError
from cli.compose_project import PROJECT_LABEL, SERVICE_LABEL, VARIABLE, data_folder_of, keep_name, project_name
from cli.local_site import data_folder
from cli.mosquitto import require_supported
from cli.service_state import ServiceState, with_heartbeat
from shared.runtime.applied_settings import changed_parts, read_applied

CORE_IMAGE = "wvr-core"
BROKER_IMAGE = "eclipse-mosquitto:2"
ENGINE_TIMEOUT_SECONDS = 20
HEALTHY_TIMEOUT_SECONDS = 300
TLS_COMPOSE_FILES = ("docker-compose.yml", "docker-compose.tls.yml")


@dataclass(frozen=True)
class Engine:
    """State of the Docker engine."""

    is_available: bool
    detail: str
    """Version, or the reason why it can't be used."""


def engine() -> Engine:
    """Return whether this user can use a Docker engine with Compose v2."""
    if not shutil.which("docker"):
        return Engine(False, "Docker is not installed")
    version = _ask("docker", "version", "--format", "{{.Server.Version}}")
    if version.returncode:
        return Engine(False, f"no Docker engine answers ({_last_line(version.stderr)})")
    compose = _ask("docker", "compose", "version", "--short")
    if compose.returncode:
        return Engine(False, f"Docker {version.stdout.strip()} has no Compose v2")
    return Engine(True, f"Docker {version.stdout.strip()}, Compose {compose.stdout.strip()}")


def project() -> str:
    """Return the name of this site's Compose project."""
    return project_name(data_folder(), _ask)


def compose(*arguments: str, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `docker compose` for WVR; `quiet` captures its output."""
    environment = os.environ | {VARIABLE: project()}
    if os.geteuid():
        environment.setdefault("WVR_UID", str(os.geteuid()))
        environment.setdefault("WVR_GID", str(os.getegid()))
    command = ("docker", "compose", "--project-directory", str(ROOT), *arguments)
    return subprocess.run(command, env=environment, check=False, capture_output=quiet, text=True)


def run_in_image(file: Path, variables: Sequence[str], module: str, *arguments: str) -> int:
    """Build the image of this version and run a module in it, with one file of this machine.

    Return its exit code. Raises CommandError if the image can't be built.
    """
    if compose("build", "--quiet", "init").returncode:
        raise CommandError("the image could not be built; see Docker's output above")
    hardened = (
        "--pull",
        "never",
        "--read-only",
        "--cap-drop",
        "ALL",
        "--network",
        "none",
        "--user",
        f"{os.geteuid()}:{os.getegid()}",
    )
    passed = [option for name in variables for option in ("--env", name)]
    mount = ("--mount", f"type=bind,source={file},target={file},readonly")
    command = ["docker", "run", "--rm", *hardened, *passed, *mount, CORE_IMAGE, "python", "-m", module, *arguments]
    return subprocess.run(command, check=False).returncode


def up(data: Path, tls: bool) -> None:
    """Build and start WVR, and wait until all services are healthy. Raises CommandError with the unhealthy ones.

    Services that ran with another site.toml or access list are restarted.
    """
    before = read_applied(data)
    keep_name(project())
    if tls:
        os.environ.setdefault("COMPOSE_FILE", os.pathsep.join(str(ROOT / name) for name in TLS_COMPOSE_FILES))
    if compose("build").returncode:
        raise CommandError("the images could not be built; see Docker's output above")
    # Never pulled here: what `up` pulls is new enough.
    version = _ask("docker", "run", "--rm", "--pull", "never", "--entrypoint", "mosquitto", BROKER_IMAGE, "-h")
    require_supported(version.stdout)
    started = compose("up", "--detach", "--wait", "--wait-timeout", str(HEALTHY_TIMEOUT_SECONDS))
    if started.returncode:
        raise CommandError(_unhealthy_text())
    if before and (parts := [part for part in changed_parts(before, read_applied(data)) if part != "version"]):
        print(f"changed since the last start: {', '.join(parts)}; the services restart", flush=True)
        _restart([name for name in states() if name not in ("init", "broker")])
    # Not `docker compose kill`: an engine before 23 takes a container that received any signal for one stopped by hand,
    # and does not restart it when it exits.
    compose("exec", "-T", "broker", "sh", "-c", "kill -HUP 1", quiet=True)


def start(services: Sequence[str]) -> None:
    """Start stopped containers without rebuilding, and wait until they are healthy. Raises CommandError."""
    as_they_are = ("--no-build", "--no-recreate", "--no-deps")
    wait = ("--wait", "--wait-timeout", str(HEALTHY_TIMEOUT_SECONDS))
    if compose("up", "--detach", *as_they_are, *wait, *services).returncode:
        raise CommandError(_unhealthy_text())


def _restart(services: Sequence[str]) -> None:
    """Restart containers and wait until they are healthy. Raises CommandError."""
    if compose("restart", *services).returncode:
        raise CommandError(f"Docker could not restart {', '.join(services)}; see its output above")
    start(services)


def stop(services: Sequence[str]) -> None:
    """Stop containers and wait for their end. Raises CommandError."""
    if compose("stop", *services).returncode:
        raise CommandError(f"Docker could not stop {', '.join(services)}; see its output above")


def states() -> dict[str, ServiceState]:
    """Return the state of each container of WVR by service."""
    identifiers = compose("ps", "--all", "--quiet", quiet=True).stdout.split()
    if not identifiers:
        return {}
    described = _ask("docker", "inspect", *identifiers).stdout
    containers = json.loads(described or "[]")
    return {container["Config"]["Labels"][SERVICE_LABEL]: _state(container) for container in containers}


def require_own_site(data: Path) -> None:
    """Check that the running containers of this Compose project use this data folder. Raises CommandError."""
    identifiers = compose("ps", "--quiet", quiet=True).stdout.split()
    containers = json.loads(_ask("docker", "inspect", *identifiers).stdout or "[]") if identifiers else []
    for container in containers:
        if (folder := data_folder_of(container)) and folder != data.resolve():
            name = container["Config"]["Labels"][PROJECT_LABEL]
            raise CommandError(
                f"another site runs as Compose project {name}, in {folder}; this one is in {data}. "
                "Give this one a name and ports of its own, in .env or in the environment: "
                f"{VARIABLE}={name}2, WVR_BROKER__PORT=1884 and WVR_DASHBOARD__PORT=8081"
            )


def is_running() -> bool:
    """Return whether a container of WVR runs."""
    return bool(compose("ps", "--quiet", quiet=True).stdout.strip())


def _unhealthy_text() -> str:
    known = states()
    # A degraded service works; one that is only created waits for another.
    well = ("healthy", "done", "created", "degraded")
    unhealthy = {name: state for name, state in known.items() if state.state not in well}
    for name in unhealthy:
        compose("logs", "--no-log-prefix", "--tail", "10", name)
    return "not healthy: " + ", ".join(f"{name} ({state})" for name, state in unhealthy.items()) + "; see ./wvr logs"


def _state(container: dict[str, Any]) -> ServiceState:
    """Return the state of a container from its description; its health check prints the service's heartbeat."""
    name, state = container["Config"]["Labels"][SERVICE_LABEL], container["State"]
    if state["Status"] == "running":
        health = state.get("Health") or {}
        if health.get("Status") == "healthy" and name != "broker":
            return with_heartbeat(_heartbeat(health))
        return ServiceState(health.get("Status") or "running")
    if state["Status"] == "created":
        return ServiceState("created")
    if name == "init" and state["ExitCode"] == 0:
        return ServiceState("done")
    return ServiceState(f"{state['Status']}, exit code {state['ExitCode']}")


def _heartbeat(health: dict[str, Any]) -> dict[str, Any]:
    """Return what the newest successful health check printed; empty if that is no heartbeat."""
    for check in reversed(health.get("Log") or []):
        if check["ExitCode"] == 0:
            try:
                return dict(json.loads(check["Output"]))
            except (ValueError, TypeError):
                return {}
    return {}


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=ENGINE_TIMEOUT_SECONDS)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {ENGINE_TIMEOUT_SECONDS} s")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
