"""core.noop: do nothing and end with the exit code that was asked for."""

from __future__ import annotations

from executions.runners.builtin.values import BadParameter
from executions.runners.capture import Capture
from executions.runners.job import Control, Job, RunnerSettings
from executions.runners.result import Output


def run(job: Job, control: Control, settings: RunnerSettings) -> Output:
    stdout = Capture()
    stdout.add(str(job.parameters.get("message") or "").encode("utf-8", "replace"))
    return Output(exit_code=_exit_code(job), duration_ms=0, stdout=stdout.close())


def _exit_code(job: Job) -> int:
    code = job.parameters.get("exit_code", 0)
    if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code <= 255:
        raise BadParameter("exit_code", "expected a whole number from 0 to 255")
    return code
