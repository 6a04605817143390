"""core.http_request: one request, its redirects followed, its answer as data.

An HTTP error status is an answer like any other (`success` false); only when there is no answer
does the action fail. The whole exchange has one deadline: a server that sends a byte a second
outlives any timeout that starts again with each read.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from executions.runners.builtin.exchange import NoAnswer, Patience, exchange
from executions.runners.builtin.request import Options, options_from
from executions.runners.builtin.ssrf import Blocked, parse_allowed
from executions.runners.job import Control, Job, RunnerSettings
from executions.runners.result import Output

TICK = 0.05  # how soon a cancel is noticed

_NO_ANSWER = (Blocked, NoAnswer, httpx.HTTPError, httpx.InvalidURL, OSError)


class _Cancelled(Exception):
    pass


def run(job: Job, control: Control, settings: RunnerSettings) -> Output:
    options = options_from(job.parameters)
    started = time.monotonic()
    limit = min(options.timeout, job.timeout_seconds)
    try:
        data = asyncio.run(_limited(options, limit, control, settings))
    except _Cancelled:
        return Output(1, _since(started), end="cancelled")
    except TimeoutError:
        return _too_late(job, options, _since(started))
    except _NO_ANSWER as problem:
        return Output(1, _since(started), error=_explain(problem, settings))
    duration_ms = _since(started)
    return Output(0, duration_ms, data={**data, "elapsed_ms": duration_ms})


async def _limited(
    options: Options, limit: float, control: Control, settings: RunnerSettings
) -> dict[str, Any]:
    """Wait for the exchange; end it at the limit (TimeoutError) or on cancel (_Cancelled)."""
    allowed = parse_allowed(settings.http_allow)
    patience = Patience(settings.http_connect, settings.http_read)
    async with asyncio.timeout(limit):
        work = asyncio.ensure_future(exchange(options, allowed, patience))
        try:
            while not (await asyncio.wait([work], timeout=TICK))[0]:
                if control.cancelled.is_set():
                    raise _Cancelled
        finally:
            work.cancel()
        return work.result()


def _too_late(job: Job, options: Options, duration_ms: int) -> Output:
    """Tell the action's own limit, a timeout, from that of the request, a failure."""
    if job.timeout_seconds <= options.timeout:
        return Output(1, duration_ms, end="timeout")
    return Output(1, duration_ms, error=f"No answer: not complete within {options.timeout:g} s")


def _explain(problem: Exception, settings: RunnerSettings) -> str:
    if isinstance(problem, Blocked):
        return f"Blocked: {problem}"
    if isinstance(problem, NoAnswer):
        return f"No answer: {problem}"
    if isinstance(problem, httpx.ConnectTimeout):
        return f"No answer: no connection within {settings.http_connect:g} s"
    if isinstance(problem, httpx.ReadTimeout):
        return f"No answer: nothing came for {settings.http_read:g} s"
    return f"No answer: {type(problem).__name__}: {problem}"


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
