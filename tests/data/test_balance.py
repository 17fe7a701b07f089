"""Shares of rows: all rows once and in order, none much larger than a task's, and whole partitions without skew."""

from __future__ import annotations

import pytest

from sparkgd.data.balance import SKEW_LIMIT, RowRange, row_ranges_of
from sparkgd.data.blockfile import BlockHandle

AUTO, ALWAYS, NEVER = SKEW_LIMIT["auto"], SKEW_LIMIT["always"], SKEW_LIMIT["never"]


def handles(*rows: int, per_row: int = 10) -> dict[int, BlockHandle]:
    return {
        2 * index: BlockHandle("", "", count, per_row * count, 10, "float64", True, (), {}, ())
        for index, count in enumerate(rows)
    }


def whole(*rows: int) -> list[RowRange]:
    return [RowRange(2 * index, 0, count) for index, count in enumerate(rows)]


@pytest.mark.parametrize("limit", [AUTO, ALWAYS, NEVER])
@pytest.mark.parametrize("rows", [(100, 100), (100,) * 7, (3, 3, 3), (), (0, 0)])
def test_equal_partitions_stay_whole(limit, rows):
    assert row_ranges_of(handles(*rows), max(len(rows), 1), limit) == whole(*rows)


@pytest.mark.parametrize("tasks", [2, 3, 8, 50])
@pytest.mark.parametrize("rows", [(900, 10, 20, 0, 30, 10, 20, 10), (1000,), (7, 900, 850), (1, 0, 2)])
@pytest.mark.parametrize("limit", [AUTO, ALWAYS])
def test_ranges_hold_every_row_once_and_none_is_larger_than_a_task(limit, rows, tasks):
    given = handles(*rows)
    ranges = row_ranges_of(given, tasks, limit)
    assert sorted({part.partition for part in ranges}) == sorted(given)
    for index, handle in given.items():
        mine = [part for part in ranges if part.partition == index]
        assert [part.start for part in mine] == [0, *(part.stop for part in mine[:-1])]
        assert mine[-1].stop == handle.rows
    assert [part.partition for part in ranges] == sorted(part.partition for part in ranges)
    fair = sum(rows) / tasks
    if max(rows) > limit * fair:
        assert max(part.stop - part.start for part in ranges) <= max(fair + 1, 1)
        assert len(ranges) <= len(rows) + tasks


def test_the_limits():
    assert row_ranges_of(handles(140, 60), 2, AUTO) == whole(140, 60)
    assert len(row_ranges_of(handles(160, 40), 2, AUTO)) == 3
    assert len(row_ranges_of(handles(101, 99), 2, ALWAYS)) == 3
    assert row_ranges_of(handles(1000, 1), 2, NEVER) == whole(1000, 1)


def test_cost_is_stored_values_and_rows():
    wide, narrow = handles(100, per_row=1000), handles(1000, per_row=10)
    ranges = row_ranges_of({0: wide[0], 1: narrow[0]}, 2, AUTO)
    assert ranges == [RowRange(0, 0, 50), RowRange(0, 50, 100), RowRange(1, 0, 1000)]
