"""core.echo: answer with the message, without a newline."""

from __future__ import annotations

import json

from executions.runners.capture import Capture
from executions.runners.job import Control, Job, RunnerSettings
from executions.runners.result import Output


def run(job: Job, control: Control, settings: RunnerSettings) -> Output:
    message = job.parameters.get("message", "")
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    stdout = Capture()
    stdout.add(text.encode("utf-8", "replace"))
    return Output(exit_code=0, duration_ms=0, stdout=stdout.close())
