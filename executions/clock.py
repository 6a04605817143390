"""What the executor does by the clock: everything that falls due is a column that it looks through."""

from attune_project.messaging.ticker import every
from executions import lifecycle

BATCH = 200


@every(0.5, services=("executor",), thread="clock")
def look_through() -> None:
    """Admit what is due, take back lost leases, fail what no worker can run. None of it is a repair."""
    for step in (lifecycle.admit, lifecycle.expire, lifecycle.fail_unplaceable):
        while step(BATCH) == BATCH:
            pass
