"""Find out, by a run, what keeps runs apart from this host: better no sandbox than one in name only."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from executions.runners.confine import BWRAP, SETPRIV, confine
from executions.runners.folder import run_folder
from executions.runners.job import Control, Job, RunnerSettings
from executions.runners.process import Ended, run_process

_PROBE = """
cat /proc/self/status
echo "namespace: $(readlink /proc/self/ns/pid)"
while read -r folder; do echo "folder: $(stat -c %d:%i "$folder" 2>/dev/null) $folder"; done
"""
PATIENCE = 60.0


class SandboxBroken(Exception):
    """What ATTUNE_SANDBOX promises does not hold on this host; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class Proven:
    """What was seen to hold for a run."""

    mode: str
    no_new_privs: bool
    pid_namespace: bool
    own_user: bool
    files_hidden: bool

    def __str__(self) -> str:
        who = "a user of its own for each run" if self.own_user else f"actions run as {_own_name()}"
        layers = [
            who,
            *(["its files hidden from them"] if self.files_hidden else []),
            *(["a PID namespace each"] if self.pid_namespace else []),
            *(["no new privileges"] if self.no_new_privs else []),
        ]
        return f"{self.mode} ({', '.join(layers)})"


def prove(settings: RunnerSettings) -> Proven:
    """Run a probe as actions are run. Raises SandboxBroken where it isn't kept apart as it should be."""
    _require(settings)
    ended = _probe(settings)
    said = ended.stdout.raw.decode("utf-8", "replace")
    if ended.exit_code != 0:
        heard = (
            ended.error
            or ended.stderr.raw.decode("utf-8", "replace").strip()
            or f"exit code {ended.exit_code}"
        )
        raise _broken(settings, heard)
    seen = [
        folder for folder in settings.sandbox.hidden if f"folder: {_identity(folder)}" in said.splitlines()
    ]
    proven = Proven(
        mode=settings.sandbox.mode,
        no_new_privs=_field(said, "NoNewPrivs") == "1",
        pid_namespace=_field(said, "namespace") != os.readlink("/proc/self/ns/pid"),
        own_user=_field(said, "Uid").split() != [str(os.geteuid())] * 4,
        files_hidden=settings.sandbox.mode == "bwrap" and not seen,
    )
    _judge(settings, proven, said, seen)
    return proven


def _require(settings: RunnerSettings) -> None:
    """Refuse, in words, what can't work."""
    mode = settings.sandbox.mode
    if mode == "user" and os.geteuid() != 0:
        raise _broken(settings, "only root can give each run a user of its own")
    for program in (BWRAP, SETPRIV) if mode == "bwrap" else ():
        if shutil.which(program, path=settings.path) is None:
            package = {BWRAP: "bubblewrap", SETPRIV: "util-linux"}[program]
            raise _broken(settings, f"there is no {program} on this host: install {package}")


def _probe(settings: RunnerSettings) -> Ended:
    job = Job(0, "attune.probe", "attune", "core.shell", "", {})
    try:
        with run_folder(settings.runs_dir, settings.sandbox) as folder:
            script = folder.write("probe", _PROBE.encode(), 0o600)
            return run_process(
                ["/bin/sh", str(script)],
                env={"PATH": settings.path},
                cwd=folder.home,
                stdin="".join(f"{path}\n" for path in settings.sandbox.hidden).encode(),
                limit=PATIENCE,
                control=Control(),
                kill_grace=0.0,
                confined=confine(job, settings, folder, folder.home),
            )
    except OSError as problem:
        raise _broken(settings, str(problem)) from None


def _judge(settings: RunnerSettings, proven: Proven, said: str, seen: list[Path]) -> None:
    if settings.sandbox.lends_users and not proven.own_user:
        raise _broken(settings, "the probe ran as the worker's own user")
    if settings.sandbox.lends_users and int(_field(said, "CapEff"), 16):
        raise _broken(settings, "the probe had capabilities")
    if settings.sandbox.mode == "bwrap" and seen:
        raise _broken(settings, f"the probe could see what lies in {', '.join(map(str, seen))}")


def _identity(folder: Path) -> str:
    """Return how the probe speaks of a folder if it is given the host's own."""
    try:
        found = folder.stat()
    except OSError:
        return "none"
    return f"{found.st_dev}:{found.st_ino} {folder}"


def _broken(settings: RunnerSettings, why: str) -> SandboxBroken:
    return SandboxBroken(f"ATTUNE_SANDBOX={settings.sandbox.mode} does not work here: {why}")


def _field(said: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", said, re.MULTILINE)
    return found.group(1).strip() if found else ""


def _own_name() -> str:
    return "root" if os.geteuid() == 0 else "this user"
