"""What became of each execution under torment, and whether that is one of the things that may."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from executions.runners.process import GUARD_KILLED
from tests.zoo.kinds import BY_REF, Kind

SLACK = 1.0  # s between two clocks of one host, as they are read


@dataclass(frozen=True)
class Torment:
    """Somebody was killed, or frozen from `began` to `ended` (seconds since 1970).

    `worker` is the pid of the worker that it was, or belonged to; `row_id` the execution whose guard or
    action it was.
    """

    way: str
    victim: str
    began: float
    ended: float
    worker: int = 0
    row_id: int = 0

    def __str__(self) -> str:
        return f"{self.way} {self.victim}"


@dataclass(frozen=True)
class Attempt:
    status: str
    worker: int  # pid
    began: float
    ended: float


@dataclass(frozen=True)
class Row:
    """An execution. `n` is the parameter that it was given."""

    id: int
    action_ref: str
    status: str
    result: Mapping[str, Any]
    n: int
    attempts: tuple[Attempt, ...]

    @property
    def kind(self) -> Kind:
        return BY_REF[self.action_ref]

    @property
    def tries(self) -> list[str]:
        return [attempt.status for attempt in self.attempts]


@dataclass
class History:
    """What was done, and what the runs noted."""

    torments: list[Torment] = field(default_factory=list)
    begun: Counter[int] = field(default_factory=Counter)  # runs of each execution
    ended: Collection[str] = ()  # runs that came to their ends

    @property
    def killed(self) -> Counter[int]:
        """How often somebody of an execution's run was killed, and not its worker."""
        return Counter(one.row_id for one in self.torments if one.way == "kill" and one.row_id)


def wrong(rows: Iterable[Row], history: History) -> list[str]:
    """Return what may not be, in words."""
    killed = history.killed
    found = []
    for row in rows:
        problem = _of_attempts(row, killed[row.id], history.begun[row.id]) or _of_result(row, history, killed)
        if problem:
            found.append(f"{row.id} {row.action_ref} {row.status} {row.tries}: {problem}")
    return found


def _of_attempts(row: Row, killed: int, begun: int) -> str:
    kind, tries, lost = row.kind, Counter(row.tries), row.status == "abandoned"
    own = kind.max_retries + 1 if kind.ends == "failed" else 0
    reasons = {
        "its last attempt ended otherwise": row.tries[-1:] != [row.status],
        "it went on after an end": bool(set(row.tries[:-1]) - {"abandoned", "failed"}),
        "tried again too often after losses": tries["abandoned"] > kind.lost_retries + lost,
        "given up too early": lost and tries["abandoned"] <= kind.lost_retries,
        "it failed too often": tries["failed"] > min(kind.max_retries + 1, own + killed),
        "not tried again": row.status == "failed" and tries["failed"] <= kind.max_retries,
        "more runs than attempts": begun > len(row.tries),
    }
    return next((words for words, holds in reasons.items() if holds), "")


def _of_result(row: Row, history: History, killed: Counter[int]) -> str:
    error, code = str(row.result.get("error", "")), row.result.get("exit_code")
    match row.status:
        case "completed":
            return (
                _of_output(row, history.ended) if row.kind.ends == "completed" else "it can't have succeeded"
            )
        case "failed" if code == 7 and row.kind.ends == "failed":
            return "" if error == "as told" else f"another error: {error}"
        case "failed":
            said = code == 137 and ("(SIGKILL)" in error or error == GUARD_KILLED)
            return "" if said and killed[row.id] else f"it failed by itself: {code} {error}"
        case "timeout":
            said = error == f"{row.action_ref} timed out after {row.kind.timeout} s"
            return "" if said and row.kind.ends == "timeout" else f"no such limit: {error}"
        case "abandoned":
            by = row.result.get("abandoned_by"), row.result.get("original_status")
            return "" if by == ("lease_expired", "running") else f"abandoned by {by}"
    return "no end that it may have"


def _of_output(row: Row, ended: Collection[str]) -> str:
    """Return what is wrong with the result of a run that succeeded."""
    if row.kind.output_format == "json":
        data = row.result.get("data") or {}
        run, n = data.get("run"), data.get("n")
    else:
        *before, last = str(row.result.get("stdout", "")).splitlines() or [""]
        run, _, text = last.partition(" ")
        n = int(text) if re.fullmatch(r"\d+", text) else None
        whole = [f"{run} {number}" for number in range(1, len(before) + 1)]
        if before != whole or len(before) not in ((400, 12000) if row.kind.name == "talks" else (0,)):
            return f"a broken output of {len(before)} lines, last {last!r}"
    if run not in ended or n != row.n or not str(run).startswith(f"{row.id}."):
        return f"the result of {run} with {n}, not {row.n}"
    return ""


def unprovoked(rows: Iterable[Row], torments: Iterable[Torment]) -> list[str]:
    """Return the attempts that were given up though nobody had touched their worker, or what it started."""
    by_worker: dict[int, list[Torment]] = {}
    for torment in torments:
        by_worker.setdefault(torment.worker, []).append(torment)
    return [
        f"{row.id} {row.action_ref}, attempt {number} on {attempt.worker}"
        for row in rows
        for number, attempt in enumerate(row.attempts, 1)
        if attempt.status == "abandoned"
        and not any(
            torment.began <= attempt.ended + SLACK and torment.ended >= attempt.began - SLACK
            for torment in by_worker.get(attempt.worker, ())
        )
    ]
