"""Make an environment: run the installer's programs, keep what they say, publish what came of it."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from executions.environments.needs import Need
from executions.environments.places import Place
from executions.runners.confine import Confined
from executions.runners.folder import RunFolder, run_folder
from executions.runners.job import Control, RunnerSettings, Stream
from executions.runners.process import Ended, run_process
from executions.runners.recipe import SOURCE, NoInstaller, Step

LOG = 64 * 1024  # bytes that are kept of what the installers say, the last ones
LAST_LINES = 12
LAST_CHARACTERS = 1500
CACHES = ".cache"  # of the installers, for all packs

# How a host reaches its package indexes. Where packages go is ours to say.
_HOSTS_OWN = re.compile(
    r"PIP_(?!(TARGET|PREFIX|ROOT|USER|PYTHON|REQUIRE_VIRTUALENV)$).*|NPM_CONFIG_(?!(PREFIX|GLOBAL)$).*"
    r"|.*_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS|XDG_CONFIG_(HOME|DIRS)",
    re.IGNORECASE,
)
# What installers look for at home.
_AT_HOME = (".config/pip", ".pip", ".netrc", ".npmrc")


class BuildFailed(Exception):
    """An environment that can't be made; the message is for the operator."""


class BuildStopped(Exception):
    """Whoever needed the environment was told to stop."""


@dataclass
class Progress:
    """How far a build is; read from other threads."""

    step: str = "starting"
    started: float = field(default_factory=time.monotonic)
    _said: bytearray = field(default_factory=bytearray, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def seconds(self) -> int:
        return int(time.monotonic() - self.started)

    @property
    def log(self) -> str:
        with self._lock:
            said = bytes(self._said)
        return said.decode("utf-8", "replace").replace("\x00", "\ufffd")

    def hear(self, _stream: Stream, chunk: bytes) -> None:
        with self._lock:
            self._said += chunk
            del self._said[:-LOG]

    def last_lines(self) -> str:
        lines = [line.rstrip() for line in self.log.splitlines() if line.strip()]
        return "\n".join(lines[-LAST_LINES:])[-LAST_CHARACTERS:]


@dataclass
class Installation:
    """One build of an environment; who runs it holds the builder's lock."""

    place: Place
    settings: RunnerSettings
    control: Control
    limit: float  # seconds for all of it
    progress: Progress = field(default_factory=Progress)

    def run(self) -> Path:
        """Build, publish and return the folder.

        Raises BuildFailed, which is kept for those who come soon, or BuildStopped, after which nothing
        of it is left.
        """
        try:
            with self.place.new_folder() as folder:
                self._fill(folder)
                self.place.publish(folder)
        except (BuildFailed, NoInstaller, OSError) as problem:
            text = str(self.place.need)
            error = f"{text[0].upper()}{text[1:]} could not be built: {problem}"
            self.place.fail(error)
            raise BuildFailed(error) from None
        self.place.remove_others()
        return folder

    def _fill(self, folder: Path) -> None:
        need = self.place.need
        source = _copied(need, folder / SOURCE)
        ends = time.monotonic() + self.limit
        with run_folder(self.settings.runs_dir) as home:
            env = _environment(home, self.place.root / CACHES)
            for step in need.recipe.steps(folder, need.files, self.settings):
                self._step(step, source, env, ends - time.monotonic())
        if not need.recipe.works(folder):
            raise BuildFailed(f"{self.progress.step} ended well, but left nothing that works")
        _open_to_all(folder)

    def _step(self, step: Step, source: Path, env: Mapping[str, str], left: float) -> None:
        self.progress.step = step.words
        ended = self._process(step, source, env, left)
        if ended.end == "cancelled":
            raise BuildStopped
        said = self.progress.last_lines()
        if ended.end == "timeout":
            raise BuildFailed(f"{step.words} had not ended after {self.limit:g} s\n{said}".strip())
        if ended.exit_code != 0 or ended.error:
            said = said or f"exit code {ended.exit_code}"
            raise BuildFailed(f"{step.words} failed:\n{ended.error or said}")

    def _process(self, step: Step, source: Path, env: Mapping[str, str], left: float) -> Ended:
        """Run a step, as the worker's user; what it says is the build's, not the action's."""
        sandbox = self.settings.sandbox
        listener, self.control.listener = self.control.listener, self.progress.hear
        try:
            return run_process(
                step.argv,
                env=env,
                cwd=source,
                stdin=b"",
                limit=max(left, 0.0),
                control=self.control,
                kill_grace=self.settings.kill_grace,
                confined=Confined(margin=sandbox.margin, pid_namespace=sandbox.pid_namespace),
            )
        finally:
            self.control.listener = listener


def _copied(need: Need, source: Path) -> Path:
    """Copy what the installer reads: it works on the copy, and never writes into the pack."""
    source.mkdir()
    for name in need.files:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(need.pack_dir / name, target)
    return source


def _environment(home: RunFolder, caches: Path) -> dict[str, str]:
    """Return the installers' environment: the host's own package settings, and no secret of the worker's.

    HOME is empty but for links to what installers are configured by.
    """
    theirs = Path.home()
    for name in _AT_HOME:
        if (theirs / name).exists():
            (home.home / name).parent.mkdir(parents=True, exist_ok=True)
            (home.home / name).symlink_to(theirs / name)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home.home),
        "TMPDIR": str(home.home),
        "PIP_CACHE_DIR": str(caches / "pip"),
        "NPM_CONFIG_CACHE": str(caches / "npm"),
        **{name: value for name, value in os.environ.items() if _HOSTS_OWN.fullmatch(name)},
    }


def _open_to_all(folder: Path) -> None:
    """Let users that actions may run as read what was installed under a strict umask."""
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            item = os.path.join(path, name)
            if not os.path.islink(item):
                mode = os.stat(item).st_mode
                os.chmod(item, mode | 0o444 | (0o111 if mode & 0o100 else 0))
