"""core.shell: a bash file of the pack, or a script in the entrypoint itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from executions.runners import code
from executions.runners.asking import version_of
from executions.runners.folder import RunFolder
from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.program import Program, Unrunnable, run_program
from executions.runners.shell.script import inline, values_file, variables

BASH = "/bin/bash"


class ShellRunner:
    ref = "core.shell"
    aliases = ("shell", "bash", "sh")
    recipe = None

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        return run_program(job, control, settings, lambda folder, env: _program(job, folder, env))

    def is_inline(self, entrypoint: str) -> bool:
        return False

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        """A file that isn't there is no problem: the entrypoint may be the script itself."""
        if not entrypoint.strip():
            return "core.shell needs a file or a script as entrypoint"
        try:
            code.find(pack_dir, entrypoint)
        except code.OutsidePack as outside:
            return str(outside)
        return None

    def offers(self, settings: RunnerSettings) -> str | None:
        return version_of(BASH, "--version")


def _program(job: Job, folder: RunFolder, env: Mapping[str, str]) -> Program:
    if not job.entrypoint.strip():
        raise Unrunnable("core.shell needs a file or a script as entrypoint")
    if not os.access(BASH, os.X_OK):
        raise Unrunnable(f"core.shell needs {BASH}, which this host does not have")
    file = code.find(job.pack_dir, job.entrypoint)
    return Program((BASH, str(file or _written(job, folder, env))))


def _written(job: Job, folder: RunFolder, env: Mapping[str, str]) -> Path:
    """Write the script that the entrypoint is, behind what reads its variables."""
    values = variables(job.parameters, job.keys, env.keys(), job.declared)
    values_path = folder.write("values", values_file(values), 0o600)
    return folder.write("script", inline(job.entrypoint, values.keys(), values_path), 0o600)
