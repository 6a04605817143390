"""Pass on the news of what this worker can't run: a message comes to one worker of the pool, any one."""

import time
from collections.abc import Sequence

from attune_project.messaging.publisher import Letter, publisher
from attune_project.messaging.topology import EXECUTION_REQUESTED
from executions import lifecycle
from executions.lifecycle import Claimant

MOST = 100
TIMES = 3  # so often one id is passed on within PAUSE: the queue deals in turn, so another gets it
PAUSE = 2.0  # seconds


class Passing:
    """Rings again for executions that wait in our pool for somebody else, but not round in circles."""

    def __init__(self, pool: str | None) -> None:
        self._pool = pool
        self._passed: dict[int, int] = {}
        self._since = 0.0

    def waiting(self) -> list[int]:
        """Return the executions that wait in our pool, the oldest."""
        return lifecycle.waiting_in_pool(self._pool, MOST)

    def beside(self, claimant: Claimant) -> list[int]:
        """Return those that wait in our pool for a worker with other labels, runtimes or packs."""
        return lifecycle.waiting_beside(claimant, MOST)

    def on(self, ids: Sequence[int]) -> None:
        """Ring for these."""
        if time.monotonic() - self._since > PAUSE:
            self._passed.clear()
            self._since = time.monotonic()
        news = [one for one in ids if self._passed.get(one, 0) < TIMES]
        for one in news:
            self._passed[one] = self._passed.get(one, 0) + 1
        if news:
            publisher().send(Letter(EXECUTION_REQUESTED, news, self._pool))
