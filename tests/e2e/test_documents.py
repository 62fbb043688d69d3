"""Every command of README.md, the tutorial and the how-to guides runs, in order, on a fresh machine's folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.bootstrap import ROOT, which
from cli.compose import engine
from tests.conftest import free_port
from tests.polling import wait_for

GUIDES = ("install", "troubleshoot", "update-and-roll-back", "manage-models", "back-up-and-restore")
"""In the order in which an operator needs them; each starts where the one before it ended."""
REPLACED_TEXTS = {
    "ADDRESS-OF-THIS-REPOSITORY wvr": '"$ORIGIN" wvr && ln -s "$VENV" wvr/.venv',
    "wvr-20261124T023000.db": '"$(basename "$(ls data/backup/wvr-*.db | head -n 1)")"',
    "/media/usb": '"$STICK"',
    "SERVICE": "ingest",
}
"""Placeholders that a reader replaces as well; the clone uses the installed Python packages."""
REPLACED_LINES = {
    "sudo apt-get update": "apt-get --print-uris update",
    "sudo apt-get install -y git python3-venv": "dpkg -s git python3-venv || apt-get -s install git python3-venv",
    "sudo timedatectl set-timezone Asia/Seoul": "test -f /usr/share/zoneinfo/Asia/Seoul",
    "sudo timedatectl set-ntp true": "timedatectl --version",
    'sudo usermod -aG docker "$USER"': "id -un",
    "./wvr autostart": './wvr autostart --root "$IMAGE"',
    "./wvr autostart on": './wvr autostart on --root "$IMAGE"',
    "./wvr autostart off": './wvr autostart off --root "$IMAGE"',
    "./wvr test": "./wvr test tests/unit/cli/test_local_site.py",
    "WVR_FAULTS=8 ./wvr test tests/faults": "./wvr test tests/faults --collect-only --quiet",
    ".venv/bin/python -m bench.faults --faults 300 --seed 7": ".venv/bin/python -m bench.faults --help",
    "./wvr sensors retire 001": "./wvr sensors retire --help",
    "./wvr sensors rename 001 002": "./wvr sensors rename --help",
}
"""Lines that would change this machine, end a sensor that still sends, or take long.

Autostart acts on the folder of another system.
"""
LOCAL_LINES = {"./wvr up": "./wvr up --local"}
MAX_BLOCK_SECONDS = 600
BLOCK = re.compile(r"^```(sh|toml) *([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:\./wvr|\.venv/bin/|WVR_\w+=\S+ \./wvr|sudo) ?[^`]*)`")
NEXT_MIGRATION = '''"""Migration of a later version."""


def up(migrator, database):
    database.execute_sql("CREATE TABLE REMARK_TB (at INTEGER PRIMARY KEY, text TEXT NOT NULL)")
'''


class Machine:
    """A folder in place of a mini PC, the working folder of its shell, and the lines typed there."""

    def __init__(self, folder: Path, docker: bool) -> None:
        self.folder, self.docker = folder, docker
        self.typed: set[str] = set()
        self.move("home")
        (folder / "stick").mkdir()
        units = folder / "image/etc/systemd/system"
        units.mkdir(parents=True)
        (units / "docker.service").write_text("[Install]\nWantedBy=multi-user.target\n", encoding="ascii")
        port = free_port()
        variables: dict[str, object] = {
            "ORIGIN": origin(folder / "origin"),
            "VENV": ROOT / ".venv",
            "STICK": folder / "stick",
        }
        variables |= {
            "IMAGE": folder / "image",
            "WVR_BROKER__PORT": port,
            "WVR_DASHBOARD__PORT": free_port(),
            "COMPOSE_PROJECT_NAME": f"wvr-test-{port}",
        }
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "USER") if name in os.environ}
        self.environment = inherited | {name: str(value) for name, value in variables.items()}

    def move(self, name: str) -> None:
        """Continue in a new folder, which represents another machine."""
        self.working_folder = self.folder / name
        self.working_folder.mkdir()

    def type(self, text: str) -> None:
        """Run lines of a document; each must succeed."""
        lines = [line.split("  #")[0].strip() for line in text.splitlines()]
        self.typed.update(lines)
        script = "\n".join([*map(self._replacement, lines), "echo", "pwd"])
        done = self.run("bash", "-euxo", "pipefail", "-c", script)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        self.working_folder = Path(done.stdout.splitlines()[-1])

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with its output in files: a background process would keep a pipe open."""
        outputs = [self.folder / "stdout", self.folder / "stderr"]
        with outputs[0].open("w") as out, outputs[1].open("w") as err:
            try:
                done = subprocess.run(
                    command,
                    cwd=self.working_folder,
                    env=self.environment,
                    stdout=out,
                    stderr=err,
                    check=False,
                    timeout=MAX_BLOCK_SECONDS,
                )
            except subprocess.TimeoutExpired:
                pytest.fail(
                    f"{command} took more than {MAX_BLOCK_SECONDS} s\n" + "\n".join(map(Path.read_text, outputs))
                )
        return subprocess.CompletedProcess(command, done.returncode, *map(Path.read_text, outputs))

    def _replacement(self, line: str) -> str:
        line = REPLACED_LINES.get(line, line)
        line = line if self.docker else LOCAL_LINES.get(line, line)
        for word, replacement in REPLACED_TEXTS.items():
            line = line.replace(word, replacement)
        assert not line.startswith("sudo "), f"add a replacement for the line: {line}"
        return line


def origin(folder: Path) -> Path:
    """Create a repository with this checkout as v0.1.0, and v0.1.1, which changes the tables."""
    files = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(lambda name: name and (ROOT / name).is_file(), files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "site.toml").write_text('[site]\nname = "test"\n[simulator]\nhistory_days = 0\n', encoding="ascii")
    git(folder, "init", "--quiet")
    commit(folder, "v0.1.0")
    git(folder, "checkout", "--quiet", "--detach")
    (folder / "shared/version.py").write_text(
        '"""Version of the next release."""\n\nVERSION = "0.1.1"\n', encoding="ascii"
    )
    (folder / "shared/store/migrations/0002_remarks.py").write_text(NEXT_MIGRATION, encoding="ascii")
    commit(folder, "v0.1.1")
    git(folder, "checkout", "--quiet", "-")
    return folder


def commit(folder: Path, tag: str) -> None:
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=test", "-c", "user.email=test@test", "commit", "--quiet", "--message", tag)
    git(folder, "tag", tag)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def machine(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A fresh machine, `local` or `docker`; everything that was started there is stopped afterwards."""
    docker = mode == "docker"
    if docker and not (container_engine := engine()).is_available:
        assert not os.environ.get("WVR_REQUIRE_DOCKER"), container_engine.detail
        pytest.skip(container_engine.detail)
    if missing := [tool for tool in ("git", "systemctl", "apt-get") if not which(tool)]:
        pytest.skip(f"the documents are for Debian; this machine has no {missing[0]}")
    # A short path: a Unix socket's is limited to 100 bytes.
    machine = Machine(tmp_path_factory.mktemp("pc"), docker)
    yield machine
    machine.run("./wvr", "down")
    if docker:
        machine.run("docker", "compose", "down", "--volumes", "--timeout", "5")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def shell_blocks(text: str) -> list[tuple[str, str]]:
    """Return the name (mostly empty) and the lines of each shell block of a document."""
    return [(name, lines) for language, name, lines in BLOCK.findall(text) if language == "sh"]


LOCAL = pytest.param("local")
DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@pytest.mark.parametrize("mode", [LOCAL, pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.full])])
def test_guides(machine: Machine) -> None:
    """Takes minutes: every command of the guides runs on a real site, from an empty folder on."""
    text = "\n".join(text_of(f"docs/how-to/{name}.md") for name in GUIDES)
    for name, lines in shell_blocks(text):
        if name == "another-machine":
            machine.type("./wvr down")
            machine.move("pc2")
        machine.type(lines)
    mentioned = {" ".join(span.split()) for span in SPAN.findall(BLOCK.sub("", text))} - machine.typed
    machine.type("\n".join(sorted(mentioned - {"./wvr up --local"})))
    unused = REPLACED_LINES.keys() - {"./wvr test", "sleep 60"} - machine.typed
    assert not unused, f"replacements of lines that no document has: {unused}"


@pytest.mark.parametrize("mode", [pytest.param("local", marks=pytest.mark.full), DOCKER])
def test_readme(machine: Machine) -> None:
    machine.type("git clone ADDRESS-OF-THIS-REPOSITORY wvr\ncd wvr")
    for _, lines in shell_blocks(text_of("README.md")):
        machine.type(lines)
    assert "./wvr test" in machine.typed


def test_both_readmes_have_the_same_commands() -> None:
    english, korean = (shell_blocks(re.sub(r" +#.*", "", text_of(name))) for name in ("README.md", "README.ko.md"))
    assert english == korean


@pytest.mark.parametrize("mode", [LOCAL])
def test_tutorial(machine: Machine) -> None:
    """Takes minutes: a meter falls silent for two minutes of real time (ten in the tutorial)."""
    machine.environment["WVR_DETECTION__SILENCE_MINUTES"] = "2"
    for language, _, lines in BLOCK.findall(text_of("docs/tutorial/first-alarm.md")):
        if language == "toml":
            (machine.working_folder / "site.toml").write_text(lines, encoding="utf-8")
        else:
            if "export anomalies" in lines:
                wait_for(lambda: has_silence(machine), 300, "the alarm silence", pause=2.0)
            machine.type(lines)
    assert "silence" in (machine.working_folder / "anomalies.csv").read_text(encoding="utf-8")


def has_silence(machine: Machine) -> bool:
    """Return whether the machine's site has stored a silence."""
    machine.type("./wvr export anomalies --out anomalies.csv")
    return ",silence," in (machine.working_folder / "anomalies.csv").read_text(encoding="utf-8")
