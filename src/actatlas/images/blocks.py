"""What is read in blocks and asked for photo by photo, by several threads: each block is read once while it is held."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Block = TypeVar("Block")


class BlockCache(Generic[Block]):
    """The blocks asked for last. Threads that ask for one that is being read wait for it."""

    def __init__(self, load: Callable[[int], Block], most: int):
        self._load = load
        self._most = most
        self._lock = threading.Lock()
        self._held: OrderedDict[int, Future[Block]] = OrderedDict()

    def __call__(self, number: int) -> Block:
        with self._lock:
            future = self._held.get(number)
            is_new = future is None
            if future is None:
                future = self._held[number] = Future()
            self._held.move_to_end(number)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        if is_new:
            try:
                future.set_result(self._load(number))
            except BaseException as error:
                with self._lock:
                    self._held.pop(number, None)  # the next who asks tries again
                future.set_exception(error)
        return future.result()

    def __reduce__(self) -> tuple[Any, ...]:  # without what is held
        return BlockCache, (self._load, self._most)
