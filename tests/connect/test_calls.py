"""A call of the server takes tens of milliseconds, as much as a round: a fit makes no more of them than it must."""

from __future__ import annotations

from collections import Counter

import pytest
from pyspark.sql.connect.client import SparkConnectClient

from sparkgd.classification import LogisticRegression
from sparkgd.engine.interface import executors_of
from tests.connect.cases import COLUMNS

pytestmark = pytest.mark.cluster


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    """How often the server was called, by what for."""
    counts: Counter[str] = Counter()

    def counted(kind: str, genuine):
        def call(self, *args, **options):
            method = args[0] if args else options["method"]
            counts[str(method) if kind == "_analyze" else kind] += 1
            return genuine(self, *args, **options)

        return call

    for kind in ("config", "_analyze"):
        monkeypatch.setattr(SparkConnectClient, kind, counted(kind, getattr(SparkConnectClient, kind)))
    return counts


def test_a_fit_asks_for_no_setting_and_has_no_text_parsed(df, calls):
    """The first fit of a session asks for its limits; then names that are exact need no rule of case."""
    estimator = LogisticRegression(featuresCols=COLUMNS, solver="l-bfgs", maxIter=2, tol=0.0, execution="cluster")
    with pytest.warns(match="did not converge"):
        estimator.fit(df)
    calls.clear()
    with pytest.warns(match="did not converge"):
        estimator.fit(df)
    assert set(calls) <= {"schema"}, calls
    assert calls["schema"] <= 2, "of the rows, and of what was made of them"


@pytest.mark.parametrize(("partitions", "most", "expected"), [(2, 2, [2]), (1, 2, [2, 1]), (3, None, [3])])
def test_partitions_are_asked_again_where_they_are_fewer_than_they_might_be(spark, partitions, most, expected):
    def packer(batches):
        from pyspark import TaskContext

        if sum(batch.num_rows for batch in batches):
            yield TaskContext.get().partitionId(), None

    numbers: list[int] = []

    def function(count: int):
        numbers.append(count)
        return lambda pairs: ((number, count) for number, _ in pairs)

    kept = executors_of(spark).keep(spark.range(0, 12, 1, partitions), packer)
    try:
        count, found = kept.asked(function, most)
    finally:
        kept.let_go()
    assert numbers == expected
    assert count == partitions
    assert sorted(found) == [(number, partitions) for number in range(partitions)]
    assert [table.name for table in spark.catalog.listTables() if table.name.startswith("sparkgd")] == []
