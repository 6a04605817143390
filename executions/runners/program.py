"""Run an action's program: everything that shell, python, node and native have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from executions.runners import code, environment, parameters
from executions.runners.confine import confine
from executions.runners.folder import RunFolder, run_folder
from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.process import run_process
from executions.runners.result import Output, conclude, failed


class Unrunnable(Exception):
    """What is wrong with the action or its host; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a runtime makes of a job: the words to execute, and variables of its own."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


Prepare = Callable[[RunFolder, Mapping[str, str]], Program]

_PROBLEMS = (Unrunnable, code.OutsidePack, parameters.UnknownFormat, OSError, UnicodeEncodeError)


def run_program(job: Job, control: Control, settings: RunnerSettings, prepare: Prepare) -> Outcome:
    """Deliver the parameters, run the program that `prepare` makes of the job, judge its output.

    `prepare` is given the run's folder and the environment, and may raise Unrunnable.
    """
    try:
        with run_folder(settings.runs_dir, settings.sandbox) as folder:
            output = _run(job, control, settings, folder, prepare)
    except _PROBLEMS as problem:
        return failed(str(problem), job)
    return conclude(output, job, control)


def file_of(job: Job) -> Path:
    """Return the file that the job's entrypoint names; raise Unrunnable or OutsidePack."""
    if job.pack_dir is not None and not job.pack_dir.is_dir():
        raise Unrunnable(f"The folder of the pack {job.pack_ref} is not on this host: {job.pack_dir}")
    file = code.find(job.pack_dir, job.entrypoint)
    if file is None:
        raise Unrunnable(f"There is no file actions/{job.entrypoint} in the pack {job.pack_ref}")
    return file


def problem_of_file(entrypoint: str, pack_dir: Path | None) -> str | None:
    """Return what is wrong with an entrypoint that must be a file of the pack, or None."""
    try:
        found = code.find(pack_dir, entrypoint)
    except code.OutsidePack as outside:
        return str(outside)
    return None if found else f"there is no file actions/{entrypoint}"


def searched_first(folder: Path, path: str) -> str:
    """Return a PATH on which a folder's programs come first."""
    return f"{folder}{os.pathsep}{path}"


def _run(job: Job, control: Control, settings: RunnerSettings, folder: RunFolder, prepare: Prepare) -> Output:
    _give_artifacts(job, settings, folder)
    given = parameters.render(job.document(), job.parameter_format)
    file = folder.write("parameters", given, 0o400) if job.parameter_delivery == "file" else None
    env = environment.build(job, settings, folder.home, file)
    program = prepare(folder, env)
    cwd = job.pack_dir if job.pack_dir and job.pack_dir.is_dir() else folder.home
    ended = run_process(
        program.argv,
        env={**env, **program.env},
        cwd=cwd,
        stdin=b"" if file else given,
        limit=job.timeout_seconds,
        control=control,
        kill_grace=settings.kill_grace,
        confined=confine(job, settings, folder, cwd),
    )
    return Output(
        ended.exit_code,
        ended.duration_ms,
        ended.stdout,
        ended.stderr,
        error=ended.error,
        end=ended.end,
        note=ended.note,
    )


def _give_artifacts(job: Job, settings: RunnerSettings, folder: RunFolder) -> None:
    """Make the folder of the run's artifacts its user's; the one that holds it is everybody's to add to."""
    if folder.user is None or settings.artifacts_dir is None:
        return
    with suppress(FileNotFoundError):
        os.chmod(settings.artifacts_dir, 0o1777)  # noqa: S103 (as of a temporary folder)
        folder.give(settings.artifacts_dir / str(job.execution_id))
