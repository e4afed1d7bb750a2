"""Work on many items by several threads, with results in the order of the items."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item, Worker, Result = TypeVar("Item"), TypeVar("Worker"), TypeVar("Result")


def in_order(
    work: Callable[[Worker, Item], Result], items: Iterable[Item], workers: Sequence[Worker]
) -> Iterator[Result]:
    """``work(worker, item)`` of every item.

    Args:
        work: Called from several threads, never twice at a time with the same worker. What it raises is
            raised here, and no item after is begun.
        items: Taken as they are needed: twice as many results wait as there are workers, at most.
        workers: Such as models; with a single one all is done in the calling thread.
    """
    if len(workers) == 1:
        yield from (work(workers[0], item) for item in items)
        return
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def one(item: Item) -> Result:
        worker = idle.get()
        try:
            return work(worker, item)
        finally:
            idle.put(worker)

    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(len(workers))
    try:
        for item in items:
            if len(waiting) == 2 * len(workers):
                yield waiting.popleft().result()
            waiting.append(pool.submit(one, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
