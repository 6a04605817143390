"""Work of one kind that comes from many at once is done together: what comes meanwhile is the next batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Dismissed(Exception):
    """What was handed in has not been looked at, and won't be."""


class Gathering(Generic[Item, Result]):
    """Calls `work` with all items that wait, in an executor's thread; it never waits for more to come.

    A batch has at most `most` items; at most `batches` are under way at once. `work` returns one result per
    item, in their order; what it raises is raised to each that handed in an item of that batch.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], executor: Executor, most: int, batches: int
    ) -> None:
        self._work, self._executor, self._most, self._batches = work, executor, most, batches
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._under_way = 0

    def __len__(self) -> int:
        """Count who waits for a batch to begin."""
        return len(self._waiting)

    async def do(self, item: Item) -> Result:
        """Hand in an item, in the event loop that all others are in; return what came of it."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        self._begin(loop)
        return await result

    def dismiss(self) -> None:
        """Raise Dismissed to all who wait for a batch to begin."""
        while self._waiting:
            _, result = self._waiting.popleft()
            if not result.done():
                result.set_exception(Dismissed())

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and self._under_way < self._batches:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            self._under_way += 1
            done = self._executor.submit(self._work, [item for item, _ in batch])
            done.add_done_callback(
                lambda done, batch=batch: loop.call_soon_threadsafe(  # type: ignore[misc]
                    self._end, loop, [result for _, result in batch], done
                )
            )

    def _end(
        self,
        loop: asyncio.AbstractEventLoop,
        waiting: list[asyncio.Future[Result]],
        done: "Future[Sequence[Result]]",
    ) -> None:
        self._under_way -= 1
        problem = done.exception()
        results = [None] * len(waiting) if problem else done.result()
        for future, result in zip(waiting, results, strict=True):
            if future.done():  # whoever waited for it has been cancelled
                continue
            if problem:
                future.set_exception(problem)
            else:
                future.set_result(result)  # type: ignore[arg-type]
        loop.call_soon(self._begin, loop)  # once they know: what they learnt may dismiss the others
