"""What the supervisor runs: a command, how it shows that it is ready, and how it is asked to end."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attune_project.embedded.processes import Account


@dataclass(frozen=True)
class Program:
    """One process to keep running.

    `order` is its place in the start; the stop goes the other way, so a broker outlives the services and the
    database outlives both. `patience` is how long it may take to end before it is killed.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool]
    order: int
    before_start: Callable[[], None] = lambda: None
    account: Account | None = None
    cwd: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 5.0
