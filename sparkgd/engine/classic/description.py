"""Names for Spark jobs, as the Spark UI shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pyspark import SparkContext

PROPERTY = "spark.job.description"


@contextmanager
def job_description(context: SparkContext, description: str) -> Iterator[None]:
    """Describe the jobs of this thread, then give the user's own description back."""
    previous = context.getLocalProperty(PROPERTY)
    context.setJobDescription(description)
    try:
        yield
    finally:
        context.setLocalProperty(PROPERTY, cast(str, previous))  # None removes it
