"""What the tests of the jobs share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

ABOUT_COLUMNS = ("features ", "categories ", "labels ", "left out ", "warning ")
"""Beginnings of the lines that a job prints before it trains."""


def arguments(options: Mapping[str, object]) -> list[str]:
    """A command line."""
    return [text for name, value in options.items() for text in (name, str(value))]


def assert_one_line(capsys: pytest.CaptureFixture[str], message: str) -> None:
    """The job printed one line of error, and nothing else but what its columns are."""
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if not line.startswith(ABOUT_COLUMNS)] == []
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
