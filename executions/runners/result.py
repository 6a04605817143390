"""Turn what an action left behind into its outcome: contract section 8, "Result"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attune_project.language.documents import MAX_DEPTH, DocumentError, check_document
from executions.runners.capture import EMPTY, LIMIT, Captured
from executions.runners.job import Control, Job, Outcome, Status, StopReason
from executions.runners.masking import Masker
from executions.runners.output import NOTHING, parse

End = Literal["exited", "timeout", "cancelled"]

NOTICE = f"\n[output cut after {LIMIT} bytes]"
ERROR_LENGTH = 2000

STOPPED: dict[StopReason, str] = {
    "cancelled": "Cancelled while running",
    "lost": "Stopped: the worker lost its lease",
    "shutdown": "Stopped: the worker is shutting down",
}


@dataclass(frozen=True, slots=True)
class Output:
    """What a runner saw: the end of the action and its streams, unjudged.

    `data` set by a builtin replaces the parsing of stdout.
    """

    exit_code: int
    duration_ms: int
    stdout: Captured = EMPTY
    stderr: Captured = EMPTY
    data: Any = NOTHING
    error: str | None = None
    end: End = "exited"


def conclude(output: Output, job: Job, control: Control | None = None) -> Outcome:
    """Judge an output: parse it, mask it, and give it the stored shape."""
    masker = Masker(job.secret_values)
    stdout, stderr = _text(output.stdout, masker), _text(output.stderr, masker)
    data, refusal = _data(output, job, masker)
    error = _error(output, job, control, stderr) or refusal
    result: dict[str, Any] = {
        "exit_code": output.exit_code,
        "duration_ms": output.duration_ms,
        "succeeded": error is None,
    }
    if data is not NOTHING:
        result["data"] = data
    else:
        result["stdout"] = stdout + NOTICE * output.stdout.truncated
    if stderr:
        result["stderr"] = stderr + NOTICE * output.stderr.truncated
    result |= {f"{name}_truncated": True for name in ("stdout", "stderr") if getattr(output, name).truncated}
    if error is not None:
        result["error"] = masker.text(error)[:ERROR_LENGTH]
    return Outcome(_status(output, error), result)


def failed(error: str, job: Job | None = None) -> Outcome:
    """Return the outcome of a job whose action could not be run at all."""
    text = Masker(job.secret_values if job else ()).text(error)[:ERROR_LENGTH]
    return Outcome("failed", {"exit_code": None, "duration_ms": 0, "succeeded": False, "error": text})


def _status(output: Output, error: str | None) -> Status:
    if output.end != "exited":
        return output.end
    return "completed" if error is None else "failed"


def _data(output: Output, job: Job, masker: Masker) -> tuple[Any, str | None]:
    """Return the masked data of a success, or NOTHING with the reason why it can't be stored."""
    try:
        data = masker.data(_parsed(output, job))
        if data is not NOTHING:
            check_document(data)
    except RecursionError:
        return NOTHING, f"The output can't be stored: nested deeper than {MAX_DEPTH} levels"
    except DocumentError as refused:
        return NOTHING, f"The output can't be stored: {refused}"
    return data, None


def _parsed(output: Output, job: Job) -> Any:
    if output.data is not NOTHING:
        return output.data
    if output.end != "exited" or output.exit_code != 0 or output.error or output.stdout.truncated:
        return NOTHING
    return parse(output.stdout.raw, job.output_format)


def _error(output: Output, job: Job, control: Control | None, stderr: str) -> str | None:
    if output.end == "timeout":
        return f"{job.action_ref} timed out after {job.timeout_seconds:g} s"
    if output.end == "cancelled":
        return STOPPED[(control and control.reason) or "cancelled"]
    if output.error or output.exit_code == 0:
        return output.error
    lines = [] if output.stderr.truncated else [line for line in stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"Command exited with code {output.exit_code}"


def _text(stream: Captured, masker: Masker) -> str:
    text = stream.raw.decode("utf-8", "replace")
    if stream.truncated:
        return masker.cut(masker.text(text.rstrip("\ufffd")))
    return masker.text(text)
