"""What a runner is given and what it answers: plain values, no Django."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from executions.runners.sandbox import Sandbox

if TYPE_CHECKING:
    from executions.runners.recipe import Recipe

Status = Literal["completed", "failed", "timeout", "cancelled"]
StopReason = Literal["cancelled", "lost", "shutdown"]
Stream = Literal["stdout", "stderr"]

STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt of an execution, with everything that its runner may know."""

    execution_id: int
    action_ref: str
    pack_ref: str
    runtime_ref: str
    entrypoint: str
    parameters: Mapping[str, Any] = field(repr=False)
    parameter_delivery: str = "stdin"  # stdin | file
    parameter_format: str = "json"  # json | yaml | dotenv
    output_format: str = "text"  # text | json | yaml | jsonl
    timeout_seconds: float = 300.0
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    pack_dir: Path | None = None
    rule_ref: str | None = None
    trigger_ref: str | None = None
    secret_values: tuple[str, ...] = field(default=(), repr=False)
    declared: frozenset[str] = frozenset()  # the parameters that the action's schema names
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)  # a parameter wins over a key
    api_token: str | None = field(default=None, repr=False)
    permission_warnings: tuple[str, ...] = ()  # which rights it was to have and hasn't, in words
    workflow_execution_id: int | None = None
    environment: Path | None = None  # what the pack's dependencies were installed into
    limits: Mapping[str, int] = field(default_factory=dict)  # see runners.limits; lower than the host's

    def document(self) -> dict[str, Any]:
        """Return what is delivered to the action: its keys under its parameters."""
        return {**self.keys, **self.parameters}


Listener = Callable[["Stream", bytes], None]
Permit = Callable[[float], None]


class Control:
    """The worker's hand on a running job: it may be stopped once, for one reason.

    `until` is the end of its lease by `time.monotonic()`; each renewal moves it. `listener` is given
    what the action writes, as it comes, from the thread that runs the job: it must not block. Where
    `keeps_output` is set, what the listener was given is kept, so that a result need not hold a large text.
    """

    def __init__(self, until: float = math.inf, listener: Listener | None = None) -> None:
        self.cancelled = threading.Event()
        self.reason: StopReason | None = None
        self.until = until
        self.listener = listener
        self.keeps_output = False
        self._over = False
        self._permit: Permit | None = None

    def extend(self, until: float) -> None:
        """The lease was renewed `until` then. Safe from any thread."""
        self.until = until
        permit = self._permit
        if permit is not None:
            permit(until)

    def on_extend(self, permit: Permit | None) -> None:
        """Call `permit` at each renewal from now on: how the guard of a process learns of it."""
        self._permit = permit

    def stop(self, reason: StopReason) -> None:
        """Ask the job to end. The first reason stays; safe from any thread."""
        if self._over:
            return
        if self.reason is None:
            self.reason = reason
        self.cancelled.set()

    def over(self) -> None:
        """The job has ended by itself: what is asked of it from now on changes nothing."""
        self._over = True


def base_python() -> str:
    """Return the interpreter behind the worker's own virtual environment, which actions don't share."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """What a worker host gives to every job."""

    http_allow: tuple[str, ...] = ()  # host | address | CIDR | host:port that http_request may reach
    http_connect: float = 10.0  # seconds for one address, so that a silent one leaves time for the next
    http_read: float = 300.0  # seconds of silence
    api_url: str = ""
    artifacts_dir: Path | None = None
    runtime_envs_dir: Path | None = None
    runs_dir: Path | None = None  # run folders are made here; the system's temporary folder if None
    path: str = STANDARD_PATH
    python: str = field(default_factory=base_python)  # runs core.python, or what its environments are made of
    node: str = "node"  # a path, or a name that is looked up on `path`
    result_limit: int = 32 * 1024 * 1024  # bytes of data that a result may hold
    kill_grace: float = 5.0  # seconds between SIGTERM and SIGKILL
    sandbox: Sandbox = field(default_factory=Sandbox)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, in the shape that is stored."""

    status: Status
    result: dict[str, Any]  # without the streams that `in_log` names: their text is in the execution's log
    in_log: tuple[Stream, ...] = ()


class Runner(Protocol):
    """A runtime: each is a folder, registered in `RUNNERS` under its ref."""

    @property
    def ref(self) -> str: ...

    @property
    def aliases(self) -> tuple[str, ...]: ...

    @property
    def recipe(self) -> Recipe | None:
        """How a pack's dependencies are installed for it."""
        ...

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        """Run to the end, within the job's limit; never hang."""
        ...

    def is_inline(self, entrypoint: str) -> bool:
        """Tell whether it ends at once without waiting, so that a batch may run it in place."""
        ...

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        """Return what is wrong with an entrypoint, or None."""
        ...

    def offers(self, settings: RunnerSettings) -> str | None:
        """Return the version that this host has of it, or None if it can't run here."""
        ...
