"""core.python: a file of the pack, in the pack's virtual environment."""

from __future__ import annotations

from pathlib import Path

from executions.runners.asking import version_of
from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.program import Program, file_of, problem_of_file, run_program, searched_first
from executions.runners.python.recipe import RECIPE, VERSION


class PythonRunner:
    ref = "core.python"
    aliases = ("python", "python3")
    recipe = RECIPE

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        return run_program(job, control, settings, lambda _folder, _env: _program(job, settings))

    def is_inline(self, entrypoint: str) -> bool:
        return False

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        return problem_of_file(entrypoint, pack_dir)

    def offers(self, settings: RunnerSettings) -> str | None:
        return version_of(settings.python, *VERSION)


def _program(job: Job, settings: RunnerSettings) -> Program:
    file = file_of(job)
    own = {"PYTHONPATH": str(job.pack_dir / "lib")} if job.pack_dir else {}
    if job.environment is None:
        return Program((settings.python, "-u", str(file)), own)
    own["VIRTUAL_ENV"] = str(job.environment)
    own["PATH"] = searched_first(job.environment / "bin", settings.path)
    return Program((str(job.environment / "bin" / "python"), "-u", str(file)), own)
