"""Tasks for executors rather than for rows: what has to be done wherever files may be."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pyspark import RDD
from pyspark.serializers import CPickleSerializer

if TYPE_CHECKING:
    from pyspark import SparkContext

PLACE = "executor_localhost_{}"
"""How Spark's locations name an executor; they have a host too, which matters only where the executor is busy."""


def on_each_executor(context: SparkContext, work: Callable[[], None]) -> None:
    """Run a function once on every executor that takes tasks.

    Where one is busy for longer than ``spark.locality.wait``, its task goes to another.
    """
    places = [PLACE.format(executor) for executor in _executors(context)]
    if places:
        _one_task_each(context, places).foreachPartition(lambda rows: work())


def _executors(context: SparkContext) -> list[str]:
    """Ids of those that take tasks, which one that is about to leave does not."""
    backend: Any = context._jsc.sc().schedulerBackend()
    return [name for name in backend.getExecutorIds().mkString("\n").split() if backend.isExecutorActive(name)]


def _one_task_each(context: SparkContext, places: list[str]) -> RDD[Any]:
    """An RDD of a partition for each place, which Spark would rather compute there than elsewhere."""
    jvm: Any = context._jvm
    item = pickle.dumps(None)
    pairs = [jvm.scala.Tuple2(item, _sequence(jvm, [place])) for place in places]
    rows = context._jsc.sc().makeRDD(_sequence(jvm, pairs), jvm.scala.reflect.ClassTag.AnyRef())
    return RDD(rows.toJavaRDD(), context, CPickleSerializer())


def _sequence(jvm: Any, items: Sequence[Any]) -> Any:
    """A sequence of Scala's."""
    found = jvm.java.util.ArrayList()
    for item in items:
        found.add(item)
    return jvm.scala.jdk.javaapi.CollectionConverters.asScala(found).toSeq()
