"""core.shell: a bash file of the pack, or a script in the entrypoint itself."""

from __future__ import annotations

import os
from pathlib import Path

from executions.runners import code, environment, parameters
from executions.runners.folder import RunFolder, run_folder
from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.process import run_process
from executions.runners.result import Output, conclude, failed
from executions.runners.shell.script import Unspeakable, inline, values_file, variables

BASH = "/bin/bash"

# What is wrong with the action or its host, not with this code: the message is for the operator.
_PROBLEMS = (code.OutsidePack, parameters.UnknownFormat, Unspeakable, OSError, UnicodeEncodeError)


class ShellRunner:
    ref = "core.shell"

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        problem = self.check(job.entrypoint, job.pack_dir)
        if problem is not None:
            return failed(problem, job)
        try:
            with run_folder(settings.runs_dir) as folder:
                output = _run(job, control, settings, folder)
        except _PROBLEMS as problem_:
            return failed(str(problem_), job)
        return conclude(output, job, control)

    def is_inline(self, entrypoint: str) -> bool:
        return False

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        if not entrypoint.strip():
            return "core.shell needs a file or a script as entrypoint"
        if not os.access(BASH, os.X_OK):
            return f"core.shell needs {BASH}, which this host does not have"
        try:
            code.find(pack_dir, entrypoint)
        except code.OutsidePack as outside:
            return str(outside)
        return None


def _run(job: Job, control: Control, settings: RunnerSettings, folder: RunFolder) -> Output:
    given = parameters.render(job.document(), job.parameter_format)
    file = folder.write("parameters", given, 0o400) if job.parameter_delivery == "file" else None
    env = environment.build(job, settings, folder.home, file)
    ended = run_process(
        [BASH, str(_script(job, folder, env))],
        env=env,
        cwd=job.pack_dir if job.pack_dir and job.pack_dir.is_dir() else folder.home,
        stdin=b"" if file else given,
        limit=job.timeout_seconds,
        control=control,
        kill_grace=settings.kill_grace,
    )
    return Output(ended.exit_code, ended.duration_ms, ended.stdout, ended.stderr, end=ended.end)


def _script(job: Job, folder: RunFolder, env: dict[str, str]) -> Path:
    file = code.find(job.pack_dir, job.entrypoint)
    if file is not None:
        return file
    values = variables(job.parameters, job.keys, env.keys())
    values_path = folder.write("values", values_file(values), 0o600)
    return folder.write("script", inline(job.entrypoint, values.keys(), values_path), 0o600)
