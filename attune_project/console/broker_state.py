"""What the broker says of itself, looked at in a thread of its own: it may be away, slow or half dead."""

import time
from dataclasses import dataclass, field

from attune_project.console.bounded import Bounded
from attune_project.console.checks import Check, check
from attune_project.messaging import broker, inspection, pools, topology

KEEP = 3.0
PATIENCE = 2.0
SHORT_OUTAGE = 5.0  # a look that failed once, or a reconnect


@dataclass(frozen=True)
class QueueState:
    depth: int
    consumers: int


@dataclass(frozen=True)
class BrokerState:
    """`error` is why it can't be used; `queues` holds those that exist."""

    error: str | None = None
    queues: dict[str, QueueState] = field(default_factory=dict)


def look() -> BrokerState:
    """Connect, and ask each queue of the table for its depth and consumers. Raises when it is away."""
    with broker.connect() as connection:
        with connection.channel():  # raises, which look_at_queue does not
            pass
        names = [name for _, _, name in topology.bindings(pools.known())]
        findings = {name: inspection.look_at_queue(connection, name) for name in names}
    return BrokerState(
        queues={
            name: QueueState(found.depth, found.consumers or 0)
            for name, found in findings.items()
            if found.depth is not None
        }
    )


class Watch:
    """Remembers since when looks have failed."""

    def __init__(self) -> None:
        self._bounded = Bounded(look, keep=KEEP, patience=PATIENCE)
        self._away_since: float | None = None

    def state(self) -> BrokerState:
        """Return what was seen within the last seconds, looking again if need be. Never raises."""
        try:
            found = self._bounded.get()
        except TimeoutError:
            found = BrokerState(f"it did not answer within {PATIENCE:g} s")
        except Exception as problem:  # each transport has its own
            found = BrokerState(f"{type(problem).__name__}: {problem}")
        if found.error is None:
            self._away_since = None
        else:
            self._away_since = self._away_since or time.monotonic()
        return found

    def away_for(self) -> float:
        """Return for how many seconds looks have failed."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since


watch = Watch()


@check
def broker_reachable() -> list[Check]:
    """Say when the broker has been out of reach for longer than a reconnect takes."""
    error = watch.state().error
    if error is None:
        return [Check("broker", True)]
    if watch.away_for() < SHORT_OUTAGE:
        return [Check("broker", True, f"The broker can't be reached just now: {error}")]
    return [
        Check(
            "broker",
            False,
            f"The broker can't be reached: {error}. Polls do the work meanwhile, some seconds later;"
            " check BROKER_URL, that the broker runs, and its disk and memory alarms.",
        )
    ]
