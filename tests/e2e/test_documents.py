"""Every command that README.md and docs/operations.md give really runs, in order, on a fresh machine's folder."""

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

PUT_IN = {
    "ADDRESS-OF-THIS-REPOSITORY wvr": '"$ORIGIN" wvr && ln -s "$VENV" wvr/.venv',
    "wvr-20261124T023000.db": '"$(basename "$(ls data/backup/wvr-*.db | head -n 1)")"',
    "/media/usb": '"$STICK"',
    "SERVICE": "ingest",
}
"""What a reader puts in, too; the clone finds the Python packages installed."""
INSTEAD = {
    "sudo apt-get update": "apt-get --print-uris update",
    "sudo apt-get install -y git python3-venv": "dpkg -s git python3-venv || apt-get -s install git python3-venv",
    "sudo timedatectl set-timezone Asia/Seoul": "test -f /usr/share/zoneinfo/Asia/Seoul",
    "sudo timedatectl set-ntp true": "timedatectl --version",
    'sudo usermod -aG docker "$USER"': "id -un",
    "./wvr autostart": './wvr autostart --root "$IMAGE"',
    "./wvr autostart on": './wvr autostart on --root "$IMAGE"',
    "./wvr test": "./wvr test tests/unit/cli/test_local_site.py",
    "WVR_FAULTS=8 ./wvr test tests/faults": "./wvr test tests/faults --collect-only --quiet",
    ".venv/bin/python -m bench.faults --faults 300 --seed 7": ".venv/bin/python -m bench.faults --help",
}
"""What would change this machine (autostart does so in the folder of one that is not running), or take hours."""
LOCALLY = {"./wvr up": "./wvr up --local"}
LONGEST = 600
"""Seconds that the lines of one block may take."""
BLOCK = re.compile(r"^```sh *([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:\./wvr|\.venv/bin/|WVR_\w+=\S+ \./wvr|sudo) ?[^`]*)`")
NEXT_MIGRATION = '''"""A later version's."""


def up(migrator, database):
    database.execute_sql("CREATE TABLE REMARK_TB (at INTEGER PRIMARY KEY, text TEXT NOT NULL)")
'''


class Machine:
    """A folder that stands for a mini PC, the place of its shell, and what was typed there."""

    def __init__(self, folder: Path, docker: bool) -> None:
        self.folder, self.docker = folder, docker
        self.typed: set[str] = set()
        self.move("home")
        (folder / "stick").mkdir()
        units = folder / "image/etc/systemd/system"
        units.mkdir(parents=True)
        (units / "docker.service").write_text("[Install]\nWantedBy=multi-user.target\n", encoding="ascii")
        port = free_port()
        own: dict[str, object] = {
            "ORIGIN": origin(folder / "origin"),
            "VENV": ROOT / ".venv",
            "STICK": folder / "stick",
        }
        own |= {"IMAGE": folder / "image", "WVR_BROKER__PORT": port, "COMPOSE_PROJECT_NAME": f"wvr-test-{port}"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "USER") if name in os.environ}
        self.environment = kept | {name: str(value) for name, value in own.items()}

    def move(self, name: str) -> None:
        """Goes on in a new folder: another machine."""
        self.place = self.folder / name
        self.place.mkdir()

    def type(self, text: str) -> None:
        """Runs lines of a document; each must succeed."""
        lines = [line.split("  #")[0].strip() for line in text.splitlines()]
        self.typed.update(lines)
        script = "\n".join([*map(self._instead, lines), "echo", "pwd"])
        done = self.run("bash", "-euxo", "pipefail", "-c", script)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        self.place = Path(done.stdout.splitlines()[-1])

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Into files: what goes on in the background keeps a pipe open, and what was said before a limit is told."""
        said = [self.folder / "stdout", self.folder / "stderr"]
        with said[0].open("w") as out, said[1].open("w") as err:
            try:
                done = subprocess.run(
                    command, cwd=self.place, env=self.environment, stdout=out, stderr=err, check=False, timeout=LONGEST
                )
            except subprocess.TimeoutExpired:
                pytest.fail(f"{command} took more than {LONGEST} s\n" + "\n".join(map(Path.read_text, said)))
        return subprocess.CompletedProcess(command, done.returncode, *map(Path.read_text, said))

    def _instead(self, line: str) -> str:
        line = INSTEAD.get(line, line)
        line = line if self.docker else LOCALLY.get(line, line)
        for word, put in PUT_IN.items():
            line = line.replace(word, put)
        assert not line.startswith("sudo "), f"the test has to say what runs instead of: {line}"
        return line


def origin(folder: Path) -> Path:
    """A repository with this checkout as v0.1.0, and v0.1.1, which changes the tables."""
    files = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(lambda name: name and (ROOT / name).is_file(), files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "site.toml").write_text('[site]\nname = "test"\n[simulator]\nhistory_days = 0\n', encoding="ascii")
    git(folder, "init", "--quiet")
    commit(folder, "v0.1.0")
    git(folder, "checkout", "--quiet", "--detach")
    (folder / "shared/version.py").write_text('"""The next one."""\n\nVERSION = "0.1.1"\n', encoding="ascii")
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


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A fresh machine; what was started there has ended afterwards."""
    docker = request.param == "docker"
    if docker and not (found := engine()).is_available:
        assert not os.environ.get("WVR_REQUIRE_DOCKER"), found.detail
        pytest.skip(found.detail)
    if missing := [tool for tool in ("git", "systemctl", "apt-get") if not which(tool)]:
        pytest.skip(f"the documents are for Debian; this has no {missing[0]}")
    one = Machine(tmp_path, docker)
    yield one
    one.run("./wvr", "down")
    if docker:
        one.run("docker", "compose", "down", "--volumes", "--timeout", "5")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_operations(machine: Machine) -> None:
    """From an empty folder on; then what the text mentions besides."""
    text = text_of("docs/operations.md")
    for kind, block in BLOCK.findall(text):
        if kind == "another-machine":
            machine.type("./wvr down")
            machine.move(kind)
        machine.type(block)
    mentioned = {" ".join(span.split()) for span in SPAN.findall(BLOCK.sub("", text))} - machine.typed
    machine.type("\n".join(sorted(mentioned - {"./wvr up --local"})))
    assert INSTEAD.keys() - {"./wvr test"} <= machine.typed, "a substitution is of no use"


def test_readme(machine: Machine) -> None:
    """In a clone. The Korean one says the same."""
    machine.type("git clone ADDRESS-OF-THIS-REPOSITORY wvr\ncd wvr")
    for _, block in BLOCK.findall(text_of("README.md")):
        machine.type(block)
    assert "./wvr test" in machine.typed
    both = [BLOCK.findall(re.sub(r" +#.*", "", text_of(name))) for name in ("README.md", "README.ko.md")]
    assert both[0] == both[1]
