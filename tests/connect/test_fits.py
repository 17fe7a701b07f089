"""Spark Connect gives the bits of classic Spark, by all solvers and losses, and after losses."""

from __future__ import annotations

import os
import shutil
import signal

import numpy as np
import pytest

from sparkgd.classification import GradientDescentClassifier, LogisticRegression
from sparkgd.engine import ingest as ingest_module
from sparkgd.exceptions import ConvergenceWarning, DiskFullError, InvalidDataError, KernelError
from tests.connect.cases import COLUMNS, estimators, frame, told, uneven
from tests.support.full_disk import on_full_disks
from tests.support.processes import descendants

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("nothing_stays"),
              pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")]  # fmt: skip

EXECUTOR = "CoarseGrainedExecutorBackend"


@pytest.mark.parametrize("name", estimators())
def test_a_fit_has_the_bits_of_classic_spark(df, reference, name):
    assert told(estimators()[name].fit(df)) == reference[name]


def test_rows_that_were_fetched_have_the_same_bits(df, reference):
    model = estimators()["auto"].setParams(execution="auto").fit(df)
    assert model.summary.execution == "driver"
    assert told(model) == reference["auto"]


def test_large_partitions_are_shared_with_the_same_bits(spark, reference):
    model = estimators()["auto"].fit(uneven(spark))
    assert told(model) == reference["uneven"]
    assert [part.partition for part in model.summary.partitionStats] == [0, 0], "one partition, cut in two"


class Once:
    """Callback that does something after the third iteration."""

    def __init__(self, act) -> None:
        self._act, self.happened = act, False

    def __call__(self, record) -> None:
        if record.iteration == 3 and not self.happened:
            self.happened = True
            self._act()


def kill_executor(server) -> None:
    os.kill(descendants(EXECUTOR)[0], signal.SIGKILL)


def delete_blocks(server) -> None:
    for path in server.blocks():
        shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize("fault", [delete_blocks, kill_executor], ids=lambda fault: fault.__name__)
def test_losses_change_no_bit(df, server, reference, fault):
    once = Once(lambda: fault(server))
    model = estimators()["solver l-bfgs"].setCallbacks([once]).fit(df)
    assert once.happened
    assert told(model) == reference["solver l-bfgs"]


@pytest.mark.parametrize(("partitions", "failed"), [({1}, "1 of 2"), ({0, 1}, "2 of 2")])
def test_a_fit_says_which_disk_is_full_and_tries_no_second_time(spark, monkeypatch, tmp_path, partitions, failed):
    """The fixture sees that neither a block nor a view stays."""
    log = tmp_path / "reads"

    def read(batches):
        with log.open("a") as reads:
            reads.write("a task\n")
        yield from batches

    rows = frame(spark, 2)
    monkeypatch.setattr(ingest_module, "_packer", on_full_disks(ingest_module._packer, partitions))
    with pytest.raises(DiskFullError) as caught:
        estimators()["auto"].fit(rows.mapInArrow(read, rows.schema))
    for part in ("full on host", "No space left on device", "spark.local.dir", failed):
        assert part in str(caught.value)
    assert log.read_text().splitlines() == ["a task"] * 2


def test_the_fit_after_a_full_disk_is_as_if_nothing_had_been(df, monkeypatch, reference):
    with monkeypatch.context() as patched:
        patched.setattr(ingest_module, "_packer", on_full_disks(ingest_module._packer, {0}))
        with pytest.raises(DiskFullError):
            estimators()["auto"].fit(df)
    assert told(estimators()["auto"].fit(df)) == reference["auto"]


def test_an_interrupt_ends_the_fit(df):
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimators()["solver gd"].setCallbacks([Once(interrupt)]).fit(df)


def test_a_fit_goes_on_from_its_checkpoint(df, tmp_path, reference):
    def lost() -> None:
        raise RuntimeError("lost")

    kept = {"checkpointDir": str(tmp_path / "kept"), "checkpointInterval": 1}
    estimator = estimators()["solver l-bfgs"].setParams(**kept)
    with pytest.raises(RuntimeError, match="lost"):
        estimator.copy().setCallbacks([Once(lost)]).fit(df)
    assert [path for path in tmp_path.rglob("*") if path.is_file()]
    first = []
    model = estimator.copy().setCallbacks([lambda record: first.append(record.iteration)]).fit(df)
    assert first[0] > 1, "it did not begin anew"
    assert told(model) == reference["solver l-bfgs"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class Failing:
    """A loss of the user's own, which the script defines and executors must be sent."""

    def value(self, label, raw_prediction):
        if len(label) > 10:
            raise ArithmeticError("by order of the test")
        return np.zeros_like(raw_prediction)

    def derivative(self, label, raw_prediction):
        return self.value(label, raw_prediction)


def test_a_loss_that_fails_on_executors_is_named(df):
    estimator = GradientDescentClassifier(featuresCols=COLUMNS, loss=Failing(), execution="cluster", solver="gd")
    with pytest.raises(KernelError, match="by order of the test"):
        estimator.fit(df)


def test_bad_rows_are_named(df):
    broken = df.selectExpr(*COLUMNS, "if(group = 3, null, label) as y")
    with pytest.raises(InvalidDataError, match=r"column 'y': 100 rows with values that are null"):
        LogisticRegression(featuresCols=COLUMNS, labelCol="y").fit(broken)


def test_long_answers_come_in_pieces(spark):
    """3000 columns: a Hessian is 72 MB, which no message holds."""
    from pyspark.sql import functions as F

    width = 1200
    rows = frame(spark, 2, 300).select(
        "label", F.transform(F.sequence(F.lit(1), F.lit(width)), lambda j: F.sin(j * F.col("group") + j)).alias("x")
    )
    estimator = LogisticRegression(featuresCol="x", solver="newton", regParam=0.1, maxIter=1, execution="cluster")
    with pytest.warns(ConvergenceWarning):
        model = estimator.fit(rows)
    assert model.numFeatures == width
    assert np.isfinite(model.coefficients.toArray()).all()
