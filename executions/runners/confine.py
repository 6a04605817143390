"""From what a host imposes, and what an action asks for, to what holds for one run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executions.runners.folder import RunFolder
from executions.runners.job import Job, RunnerSettings
from executions.runners.limits import Limits

BWRAP = "bwrap"
SETPRIV = "setpriv"
PRIVATE = ("/tmp", "/var/tmp", "/run")  # noqa: S108 (names of what is empty in a bubblewrap)
RESOLVER = Path("/run/systemd/resolve")  # where /etc/resolv.conf leads on many hosts


@dataclass(frozen=True, slots=True)
class Confined:
    """What holds for one run.

    `wrap`: the words before its own. `held`: files that stay open until nobody of it is left. `margin`:
    see Sandbox.
    """

    limits: Limits = field(default_factory=lambda: Limits(files=0))
    user: int | None = None
    wrap: tuple[str, ...] = ()
    held: tuple[int, ...] = ()
    margin: float = 0.0
    pid_namespace: bool = True

    def specification(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> dict[str, Any]:
        """Return what the guard is told. Raises ValueError for what no exec takes."""
        if b"\0" in os.fsencode("\n".join((*argv, *env, *env.values(), str(cwd)))):
            raise ValueError("embedded null byte")
        files = [word for word in argv if word.startswith("/") and os.path.exists(word)]
        return {
            "argv": [*self.wrap, *argv],
            "env": dict(env),
            "cwd": "/" if self.wrap else str(cwd),
            "limits": self.limits.rlimits(own_user=self.user is not None),
            "pids": self.limits.processes if self.user is None else 0,
            "user": None if self.wrap else self.user,
            "needs": [str(cwd), *files],
            "spare_leader": bool(self.wrap),
        }


UNCONFINED = Confined()


def confine(job: Job, settings: RunnerSettings, folder: RunFolder, cwd: Path) -> Confined:
    """Return what holds for a run of `job` in `folder`, whose program starts in `cwd`."""
    sandbox = settings.sandbox
    user = folder.user
    return Confined(
        limits=sandbox.limits.within(job.limits),
        user=user.uid if user else None,
        wrap=_bubblewrap(job, settings, folder, cwd) if sandbox.mode == "bwrap" else (),
        held=(user.lock,) if user else (),
        margin=sandbox.margin,
        pid_namespace=sandbox.pid_namespace,
    )


def _bubblewrap(job: Job, settings: RunnerSettings, folder: RunFolder, cwd: Path) -> tuple[str, ...]:
    """Return the words that put bubblewrap around a program: the host read-only, without its secrets."""
    hidden = [Path(path) for path in PRIVATE] + list(settings.sandbox.hidden)
    readable = [*settings.sandbox.shown, RESOLVER, job.pack_dir, job.environment, settings.runtime_envs_dir]
    writable = [folder.base, settings.artifacts_dir]
    shown = [
        *((path, "--ro-bind") for path in readable if path and _lies_in(path, hidden)),
        *((path, "--bind") for path in writable if path),
    ]
    return (
        BWRAP, "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
        "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
        *_empty(hidden), *_bound(shown, hidden), "--chdir", str(cwd), "--", *_as_user(folder),
    )  # fmt: skip


def _empty(hidden: Iterable[Path]) -> list[str]:
    words = []
    for path in sorted(hidden):
        if path.is_dir():
            mode = "1777" if str(path) in PRIVATE[:2] else "0755"
            words += ["--perms", mode, "--tmpfs", str(path)]
    return words


def _bound(shown: Iterable[tuple[Path, str]], hidden: Sequence[Path]) -> list[str]:
    """Return the words that show paths, outer ones first, on ways that are open to everybody."""
    words = []
    for path, how in sorted(shown):
        if path.exists():
            for way in reversed(path.parents):
                if _lies_in(way, hidden) and way not in hidden:
                    words += ["--perms", "0755", "--dir", str(way)]
            words += [how, str(path), str(path)]
    return words


def _lies_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _as_user(folder: RunFolder) -> list[str]:
    """Return the words by which root becomes the run's user, for good."""
    if folder.user is None:
        return []
    uid = str(folder.user.uid)
    return [
        SETPRIV, "--reuid", uid, "--regid", uid, "--clear-groups", "--bounding-set", "-all",
        "--inh-caps", "-all", "--no-new-privs", "--",
    ]  # fmt: skip
