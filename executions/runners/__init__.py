"""Runtimes: what runs an action. One public entry, `run`; one table, `RUNNERS`."""

from __future__ import annotations

from pathlib import PurePosixPath

from attune_project.service import current_service
from executions.runners.builtin import BuiltinRunner
from executions.runners.folder import sweep
from executions.runners.job import Control, Job, Outcome, Runner, RunnerSettings
from executions.runners.native import NativeRunner
from executions.runners.node import NodeRunner
from executions.runners.python import PythonRunner
from executions.runners.result import failed
from executions.runners.shell import ShellRunner

__all__ = [
    "ALIASES",
    "BY_SUFFIX",
    "RUNNERS",
    "SHELL",
    "Control",
    "Job",
    "NotAWorker",
    "Outcome",
    "Runner",
    "RunnerSettings",
    "run",
    "runner_for",
    "runtime_of",
    "sweep",
]

_ALL: tuple[Runner, ...] = (BuiltinRunner(), ShellRunner(), PythonRunner(), NodeRunner(), NativeRunner())
RUNNERS: dict[str, Runner] = {runner.ref: runner for runner in _ALL}
ALIASES = {alias: runner.ref for runner in _ALL for alias in runner.aliases}

SHELL = "core.shell"
BY_SUFFIX = {
    ".sh": SHELL,
    ".bash": SHELL,
    ".py": "core.python",
    ".js": "core.node",
    ".mjs": "core.node",
    ".cjs": "core.node",
}


class NotAWorker(RuntimeError):
    """Action code was about to run in a process that is not a worker."""


def runner_for(runtime_ref: str) -> Runner | None:
    """Return the runner of a runtime ref or alias, or None if there is none here."""
    return RUNNERS.get(ALIASES.get(runtime_ref, runtime_ref))


def runtime_of(entrypoint: str) -> str:
    """Return the runtime of an action that names none: by its file's extension, and shell takes the rest."""
    suffix = PurePosixPath(entrypoint).suffix if "\n" not in entrypoint else ""
    return BY_SUFFIX.get(suffix, SHELL)


def run(job: Job, control: Control, settings: RunnerSettings | None = None) -> Outcome:
    """Run a job to its end in this thread; whatever goes wrong is in the outcome.

    Raises NotAWorker outside a worker: other services hold credentials and serve people, so
    action code has no business there.
    """
    if current_service() != "worker":
        raise NotAWorker(f"{job.action_ref} may run only in a worker, not in {current_service()}")
    runner = runner_for(job.runtime_ref)
    if runner is None:
        return failed(f"Runtime {job.runtime_ref} is not available on this worker", job)
    try:
        return runner.run(job, control, settings or RunnerSettings())
    except Exception as error:
        return failed(f"{runner.ref} broke: {type(error).__name__}: {error}", job)
