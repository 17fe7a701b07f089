"""Where executors reached by Spark Connect keep no files, or Spark keeps nothing at all, there is other storage."""

from __future__ import annotations

import shutil

import pytest
from pyspark.errors import AnalysisException

from tests.connect.cases import estimators, told

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("nothing_stays"),
              pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")]  # fmt: skip


def test_files_that_do_not_last_are_done_without(df, server, reference):
    def delete_blocks(record) -> None:
        for path in server.blocks():
            shutil.rmtree(path, ignore_errors=True)

    model = estimators()["solver gd"].setCallbacks([delete_blocks]).fit(df)
    assert told(model) == reference["solver gd"]
    assert model.summary.storage.startswith("cached blocks, since files were missing in 3 rounds in a row")


@pytest.fixture
def no_cache(spark, monkeypatch):
    """A server that lets nobody cache, as serverless compute does not."""

    def refuse(self, *arguments) -> None:
        raise AnalysisException("[NOT_SUPPORTED_WITH_SERVERLESS] PERSIST TABLE is not supported on serverless compute.")

    monkeypatch.setattr(type(spark.catalog), "cacheTable", refuse)


def test_where_nothing_may_be_cached_rows_come_to_this_process(df, reference, no_cache):
    model = estimators()["auto"].setParams(execution="auto").fit(df)
    assert told(model) == reference["auto"]
    assert model.summary.storage.startswith("memory of this process, since Spark refused to cache them")
    assert "NOT_SUPPORTED_WITH_SERVERLESS" in repr(model.summary)


def test_or_are_packed_in_every_round(df, reference, no_cache):
    model = estimators()["auto"].fit(df)
    assert told(model) == reference["auto"]
    assert model.summary.storage.startswith("nothing: rows are packed in every round, since Spark refused")
