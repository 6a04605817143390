"""core.native: the file itself is executed."""

from __future__ import annotations

import os
from pathlib import Path

from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.program import Program, Unrunnable, file_of, problem_of_file, run_program


class NativeRunner:
    ref = "core.native"
    aliases = ("native",)
    recipe = None

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        return run_program(job, control, settings, lambda _folder, _env: _program(job))

    def is_inline(self, entrypoint: str) -> bool:
        return False

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        return problem_of_file(entrypoint, pack_dir)

    def offers(self, settings: RunnerSettings) -> str | None:
        return "1"


def _program(job: Job) -> Program:
    file = file_of(job)
    if not os.access(file, os.X_OK):
        raise Unrunnable(f"actions/{job.entrypoint} is not executable: chmod +x makes it so")
    return Program((str(file),))
