"""Turn what an action left behind into its outcome: contract section 8, "Result"."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from attune_project.language.documents import MAX_DEPTH, DocumentError, check_document
from executions.runners.capture import EMPTY, Captured
from executions.runners.job import Control, Job, Outcome, Status, StopReason, Stream
from executions.runners.masking import Masker
from executions.runners.output import NOTHING, parse
from executions.runners.spool import IN_MEMORY
from executions.runners.transcript import last_line, transcribe

End = Literal["exited", "timeout", "cancelled"]

ERROR_LENGTH = 2000
_EXPONENT = re.compile(r"\de[+-](\d{1,3})")
INLINE = IN_MEMORY  # bytes of output that are worked on in memory
STREAMS: tuple[Stream, ...] = ("stdout", "stderr")

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
    note: str | None = None  # what the action can't have said itself: added to its error


def conclude(output: Output, job: Job, control: Control | None = None) -> Outcome:
    """Judge an output: parse it, mask it, and give it the stored shape.

    The text of a large stream is left out where the worker keeps it in the execution's log.
    """
    masker = Masker(job.secret_values)
    data, refusal = _data(output, job, masker)
    error = _error(output, job, control, masker) or refusal
    result: dict[str, Any] = {
        "exit_code": output.exit_code,
        "duration_ms": output.duration_ms,
        "succeeded": error is None,
    }
    if data is not NOTHING:
        result["data"] = data
    told = [name for name in STREAMS if _is_told(name, output, data)]
    in_log = tuple(
        name for name in told if control and control.keeps_output and _of(output, name).size > INLINE
    )
    result |= {name: _text(output, name, masker) for name in told if name not in in_log}
    result |= {f"{name}_truncated": True for name in STREAMS if _of(output, name).truncated}
    if error is not None:
        result["error"] = masker.text(error)[:ERROR_LENGTH]
    return Outcome(_status(output, error), result, in_log)


def bounded(outcome: Outcome, limit: int) -> Outcome:
    """Return the outcome, or a failure in its place when its data is larger than `limit` bytes."""
    if "data" not in outcome.result or _size(outcome.result["data"]) <= limit:
        return outcome
    kept = {name: value for name, value in outcome.result.items() if name != "data"}
    error = f"The result is larger than {limit // 1024**2} MiB; leave large data as an artifact"
    status: Status = "failed" if outcome.status == "completed" else outcome.status
    return Outcome(status, {**kept, "succeeded": False, "error": error}, outcome.in_log)


def _size(data: Any) -> int:
    """Return the bytes of data as PostgreSQL writes it: numbers in full, without an exponent."""
    text = json.dumps(data, ensure_ascii=False)
    return len(text.encode()) + sum(int(digits) for digits in _EXPONENT.findall(text))


def _of(output: Output, stream: Stream) -> Captured:
    return output.stdout if stream == "stdout" else output.stderr


def _is_told(stream: Stream, output: Output, data: Any) -> bool:
    """Data takes the place of the stdout that it was read from; an empty stderr isn't worth a word."""
    return data is NOTHING if stream == "stdout" else output.stderr.size > 0


def _text(output: Output, stream: Stream, masker: Masker) -> str:
    return transcribe(_of(output, stream), masker, killed=output.end != "exited")


def failed(error: str, job: Job | None = None) -> Outcome:
    """Return the outcome of a job whose action could not be run at all."""
    text = Masker(job.secret_values if job else ()).text(error)[:ERROR_LENGTH]
    return Outcome("failed", {"exit_code": None, "duration_ms": 0, "succeeded": False, "error": text})


def _status(output: Output, error: str | None) -> Status:
    if output.end != "exited":
        return output.end
    return "completed" if error is None else "failed"


def _data(output: Output, job: Job, masker: Masker) -> tuple[Any, str | None]:
    """Return the masked data of a success, or NOTHING with the reason why it can't be stored.

    Numbers that no JSON has (NaN, Infinity) make stdout no JSON: text, as whatever else doesn't parse.
    """
    try:
        data = masker.data(_parsed(output, job))
        if data is not NOTHING:
            check_document(data)
    except RecursionError:
        return NOTHING, f"The output can't be stored: nested deeper than {MAX_DEPTH} levels"
    except DocumentError as refused:
        if refused.kind == "number" and output.data is NOTHING:
            return NOTHING, None
        return NOTHING, f"The output can't be stored: {refused}"
    return data, None


def _parsed(output: Output, job: Job) -> Any:
    if output.data is not NOTHING:
        return output.data
    if output.end != "exited" or output.exit_code != 0 or output.error or output.stdout.truncated:
        return NOTHING
    return parse(output.stdout.raw, job.output_format)


def _error(output: Output, job: Job, control: Control | None, masker: Masker) -> str | None:
    if output.end == "timeout":
        return f"{job.action_ref} timed out after {job.timeout_seconds:g} s"
    if output.end == "cancelled":
        return STOPPED[(control and control.reason) or "cancelled"]
    if output.error or output.exit_code == 0:
        return output.error
    line = "" if output.stderr.truncated else last_line(output.stderr, masker, ERROR_LENGTH)
    said = line or f"Command exited with code {output.exit_code}"
    return f"{said} ({output.note})" if output.note else said
