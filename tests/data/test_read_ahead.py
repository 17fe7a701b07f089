"""Items come in order, while the next is read; errors and early ends leave no thread behind."""

from __future__ import annotations

import threading
import time

import pytest

from sparkgd.data.read_ahead import read_ahead


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read ahead"]


def all_ended(seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while readers() and time.monotonic() < end:
        time.sleep(0.01)
    return not readers()


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_items_in_order(count):
    assert list(read_ahead(iter(range(count)))) == list(range(count))
    assert not readers()


def test_the_next_item_is_read_while_the_last_is_worked_on():
    second_was_read = threading.Event()

    def items():
        yield 1
        second_was_read.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert second_was_read.wait(5.0)
    assert list(ahead) == [2]


def test_no_more_than_two_items_wait():
    read = []

    def items():
        for number in range(10):
            read.append(number)
            yield number

    ahead = read_ahead(items())
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(read) <= 3, "one worked on, one waiting, one about to be handed over"
    assert list(ahead) == list(range(1, 10))


def test_an_error_while_reading_is_raised_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("the socket is closed")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="socket is closed"):
        next(ahead)
    assert all_ended()


def test_a_consumer_that_fails_ends_the_reader():
    def consume():
        for item in read_ahead(iter(range(100))):
            if item == 3:
                raise ValueError("bad rows")

    with pytest.raises(ValueError, match="bad rows"):
        consume()
    assert all_ended()
