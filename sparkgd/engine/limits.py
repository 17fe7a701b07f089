"""Checks before a round of what Spark would refuse in the middle of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sparkgd.exceptions import InvalidParamError

if TYPE_CHECKING:
    from pyspark import SparkContext

MAX_RESULT = "spark.driver.maxResultSize"

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def parse_bytes(text: str) -> int:
    """Bytes that a Spark size such as ``1g`` or ``512mb`` stands for; a plain number is bytes."""
    match = re.fullmatch(r"\s*(\d+)\s*([kmgtp]?)b?\s*", text.lower())
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(match[1]) * UNITS[match[2]]


def max_result_size(context: SparkContext) -> int:
    """Bytes that Spark lets the driver collect; 0 for no limit. Reads the whole configuration: not for every round."""
    return parse_bytes(context.getConf().get(MAX_RESULT, "1g"))


def check_result_size(limit: int, question_bytes: int, branches: int, depth: int) -> None:
    """Refuse a round whose partial sums exceed the `max_result_size`, with the setting to change.

    Gradients are as large as the points at which they are asked for, so the answer of each of the tree's last branches
    is taken to be as large as the question.

    Raises
    ------
    InvalidParamError
    """
    needed = question_bytes * branches
    if 0 < limit < needed:
        megabytes = -(-needed // (1 << 20))
        deeper = f", or use aggregationDepth={depth + 1}" if branches > 2 else ""
        raise InvalidParamError(
            f"a round would return about {megabytes} MB of partial sums to the driver, more than {MAX_RESULT} allows "
            f"({limit >> 20} MB): start Spark with --conf {MAX_RESULT}={megabytes + megabytes // 4}m (and as much more "
            f"driver memory){deeper}"
        )
