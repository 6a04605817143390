"""core.builtin: functions inside the worker, no process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from executions.runners.builtin import echo, http_request, noop, sleep
from executions.runners.builtin.values import BadParameter
from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.result import Output, conclude, failed

Builtin = Callable[[Job, Control, RunnerSettings], Output]

BUILTINS: dict[str, Builtin] = {
    "core.echo": echo.run,
    "core.http_request": http_request.run,
    "core.noop": noop.run,
    "core.sleep": sleep.run,
}
INLINE = frozenset({"core.echo", "core.noop"})


class BuiltinRunner:
    ref = "core.builtin"
    aliases = ("builtin",)
    recipe = None

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        builtin = BUILTINS.get(_ref(job.entrypoint))
        if builtin is None:
            return failed(_unknown(job.entrypoint), job)
        try:
            output = builtin(job, control, settings)
        except BadParameter as bad:
            return failed(str(bad), job)
        return conclude(output, job, control)

    def is_inline(self, entrypoint: str) -> bool:
        return _ref(entrypoint) in INLINE

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        return None if _ref(entrypoint) in BUILTINS else _unknown(entrypoint)

    def offers(self, settings: RunnerSettings) -> str | None:
        return "1"


def _ref(entrypoint: str) -> str:
    """Accept `echo` for `core.echo`: a ref without a dot belongs to its pack."""
    return entrypoint if "." in entrypoint else f"core.{entrypoint}"


def _unknown(entrypoint: str) -> str:
    return f"core.builtin has no function {entrypoint!r}; one of {', '.join(sorted(BUILTINS))}"
