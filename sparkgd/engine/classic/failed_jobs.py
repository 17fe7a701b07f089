"""A job that failed has ended only when its last task has: until then a worker may write what was just removed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark import SparkContext

PATIENCE = 30.0
"""Most seconds to wait for tasks that Spark has killed; a Python worker has about four to notice."""

POLL = 0.05
"""Seconds between two looks."""


@contextmanager
def no_task_outlives(context: SparkContext) -> Iterator[None]:
    """Pass on an error of the body only when no task of its jobs runs any more.

    Spark reports the failure of a job at once and kills its other tasks behind the scenes.
    """
    tag = f"sparkgd-{uuid.uuid4().hex}"
    context.addJobTag(tag)
    try:
        yield
    except BaseException:
        context.cancelJobsWithTag(tag)  # after an interrupt they would go on
        _wait(context, tag)
        raise
    finally:
        context.removeJobTag(tag)


def _wait(context: SparkContext, tag: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while _is_running(context, tag) and time.monotonic() < deadline:
        time.sleep(POLL)


def _is_running(context: SparkContext, tag: str) -> bool:
    """Whether a job of that tag runs, or a task of one; the jobs' ends are known after all starts of their tasks."""
    tracker = context.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in context._jsc.sc().statusTracker().getJobIdsForTag(tag)]
    stages = [tracker.getStageInfo(stage) for job in jobs if job is not None for stage in job.stageIds]
    is_active = any(job is not None and job.status == "RUNNING" for job in jobs)
    return is_active or any(stage is not None and stage.numActiveTasks > 0 for stage in stages)
