"""Reading while working: the next batch arrives while the last one is packed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")

PATIENCE = 0.1
"""Seconds between looks at whether anyone still wants what was read."""


@dataclass(frozen=True)
class _End:
    """No more items, because of an error or not."""

    error: BaseException | None = None


def read_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items in order, each read by another thread while the one before it is being worked on.

    Spark's JVM waits while nobody reads from its socket. With a reader that never rests, one large partition keeps two
    cores busy: the JVM's task thread, which makes the batches, and the Python worker, which packs them.

    Raises
    ------
    BaseException
        Whatever reading raises, here.
    """
    arrived: queue.Queue[Item | _End] = queue.Queue(maxsize=1)
    is_abandoned = threading.Event()

    def hand_over(item: Item | _End) -> None:
        while not is_abandoned.is_set():
            try:
                return arrived.put(item, timeout=PATIENCE)
            except queue.Full:
                pass

    def read() -> None:
        try:
            for item in items:
                hand_over(item)
                if is_abandoned.is_set():
                    return
            hand_over(_End())
        except BaseException as error:
            hand_over(_End(error))

    reader = threading.Thread(target=read, name="read ahead", daemon=True)  # it may wait for a socket for ever
    reader.start()
    try:
        while not isinstance(item := arrived.get(), _End):
            yield item
        reader.join()
        if item.error is not None:
            raise item.error
    finally:
        is_abandoned.set()
