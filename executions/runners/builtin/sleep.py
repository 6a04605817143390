"""core.sleep: wait, no longer than the limit, and wake when it is cancelled."""

from __future__ import annotations

import time

from executions.runners.builtin.values import seconds
from executions.runners.job import Control, Job, RunnerSettings
from executions.runners.result import End, Output


def run(job: Job, control: Control, settings: RunnerSettings) -> Output:
    wanted = seconds(job.parameters, "seconds", 1.0)
    started = time.monotonic()
    stopped = control.cancelled.wait(min(wanted, job.timeout_seconds))
    end = _end(stopped, wanted > job.timeout_seconds)
    duration_ms = round((time.monotonic() - started) * 1000)
    return Output(exit_code=0 if end == "exited" else 1, duration_ms=duration_ms, end=end)


def _end(stopped: bool, too_long: bool) -> End:
    if stopped:
        return "cancelled"
    return "timeout" if too_long else "exited"
