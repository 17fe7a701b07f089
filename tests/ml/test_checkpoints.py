"""Checkpoints of estimators: what is gone on from, what is refused before rows are read, and what stays behind."""

from __future__ import annotations

import stat
import tempfile
import warnings
from dataclasses import replace

import numpy as np
import pytest
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.tuning import ParamGridBuilder

from sparkgd.checkpoints.file import packed, unpacked
from sparkgd.classification import LogisticRegression
from sparkgd.engine.files import writable_directory
from sparkgd.exceptions import (
    CheckpointError,
    CheckpointWarning,
    DamagedCheckpointError,
    ForeignDataError,
    ForeignParamsError,
    InvalidParamError,
)
from sparkgd.ml import training_data
from sparkgd.ml.path import RegParamPath
from sparkgd.regression import GradientDescentRegressor
from sparkgd.tuning import CrossValidator
from tests.support.checkpoints import DriverLostError
from tests.support.frames import frame
from tests.support.leftovers import nothing_left

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def arrays():
    random = np.random.default_rng(3)
    features = random.standard_normal((400, 4))
    label = (features @ [1.0, -2.0, 0.5, 0.0] + random.logistic(size=400) > 0.0).astype(float)
    return features, label


@pytest.fixture(scope="module")
def df(spark, arrays):
    rows = frame(spark, *arrays, weight=np.linspace(0.5, 2.0, 400), held=np.arange(400) % 4 == 0).cache()
    rows.count()  # whether a cache has been filled decides where rows are packed
    return rows


class Watch:
    """Callback that remembers rounds, and loses the driver after so many."""

    def __init__(self, last=-1):
        self.last, self.rounds = last, []

    def __call__(self, record):
        self.rounds.append(record.round)
        if len(self.rounds) == self.last:
            raise DriverLostError


def slow(directory=None, **params):
    """An estimator of 30 rounds."""
    kept = {} if directory is None else {"checkpointDir": str(directory)}
    return LogisticRegression(**{"solver": "nesterov", "maxIter": 29, "tol": 0.0, **kept, **params})


def lost(estimator, df, after=17):
    with pytest.raises(DriverLostError):
        estimator.copy().setCallbacks([Watch(after)]).fit(df)


def content(model):
    summary = model.summary
    return [
        *model.coefficientMatrix.toArray().ravel(), *model.interceptVector, *summary.objectiveHistory,
        *summary.gradientNormHistory, *summary.validationHistory, summary.status, len(summary.secondsPerRound),
    ]  # fmt: skip


def files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


@pytest.mark.smoke
@pytest.mark.parametrize(
    "params",
    [
        {"execution": "cluster", "checkpointInterval": 5},
        {"execution": "driver", "weightCol": "weight"},
        {"validationIndicatorCol": "held", "earlyStoppingRounds": 25},
        {"regParam": 0.1, "elasticNetParam": 0.5, "family": "multinomial"},
        {"solver": "sgd", "updater": "adam", "batchSize": 50, "classWeight": "balanced"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_a_fit_goes_on_where_another_was_lost(spark, df, tmp_path, params):
    expected, estimator, watch = content(slow(**params).fit(df)), slow(tmp_path, **params), Watch()
    with nothing_left(spark):
        lost(estimator, df, 12)
        assert len(files(tmp_path)) in (1, 2)
        found = content(estimator.setCallbacks([watch]).fit(df))
    assert found == expected
    assert watch.rounds[0] == 11
    assert list(tmp_path.iterdir()) == []


def test_without_a_directory_nothing_is_asked_of_the_file_system(df, monkeypatch):
    monkeypatch.setattr("sparkgd.ml.checkpoints.writable_directory", lambda *_: pytest.fail("it was"))
    slow().fit(df)
    slow("somewhere", checkpointInterval=-1).fit(df)


def test_checkpoints_take_no_job_and_change_nothing(spark, df, tmp_path):
    def jobs(estimator):
        group = f"jobs of {estimator.uid}"
        spark.sparkContext.setJobGroup(group, "counted")
        model = estimator.fit(df)
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
        return len(spark.sparkContext.statusTracker().getJobIdsForGroup(group)), content(model)

    with_them = slow(tmp_path, execution="cluster", checkpointInterval=1)
    assert jobs(with_them) == jobs(slow(execution="cluster"))


def grid(estimator):
    return ParamGridBuilder().addGrid(estimator.regParam, [0.001, 0.1, 1.0]).build()


def test_models_of_a_grid_go_on_together(df, tmp_path):
    for params in ({}, {"solver": "auto", "tol": 1e-12, "checkpointInterval": 1}):
        whole = Watch()
        plain, estimator = slow(**params).setCallbacks([whole]), slow(tmp_path, **params)
        expected = [content(model) for model in plain.fit(df, grid(plain))]
        for after in (len(whole.rounds) // 2, len(whole.rounds) // 3):
            with pytest.raises(DriverLostError):
                estimator.copy().setCallbacks([Watch(after)]).fit(df, grid(estimator))
        watch = Watch()
        found = estimator.setCallbacks([watch]).fit(df, grid(estimator))
        assert [content(model) for model in found] == expected
        assert len(watch.rounds) < len(whole.rounds)
        assert list(tmp_path.iterdir()) == []


def test_cross_validation_goes_on(spark, df, tmp_path):
    evaluator = BinaryClassificationEvaluator()

    def validator(estimator, metric="areaUnderROC"):
        judge = evaluator.copy({evaluator.metricName: metric})
        return CrossValidator(
            estimator=estimator, estimatorParamMaps=grid(estimator), evaluator=judge, numFolds=3, seed=1
        )

    expected = validator(slow(solver="auto")).fit(df)
    watch = Watch()
    validator(slow(solver="auto").setCallbacks([watch])).fit(df)
    for after in (len(watch.rounds) // 4, len(watch.rounds) // 2, len(watch.rounds) - 2):
        estimator = slow(tmp_path, solver="auto", checkpointInterval=1)
        with nothing_left(spark), pytest.raises(DriverLostError):
            validator(estimator.setCallbacks([Watch(after)])).fit(df)
        assert files(tmp_path)
        again = Watch()
        found = validator(estimator.setCallbacks([again])).fit(df)
        assert len(again.rounds) < len(watch.rounds)
        assert found.avgMetrics == expected.avgMetrics
        assert content(found.bestModel) == content(expected.bestModel)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(DriverLostError):
        validator(estimator.setCallbacks([Watch(10)])).fit(df)
    with pytest.warns(CheckpointWarning, match=r"nothing to go on from: .*areaUnderROC.* there, .*areaUnderPR.* here"):
        validator(estimator.setCallbacks([]), "areaUnderPR").fit(df)


def test_a_search_that_retires_maps_goes_on_from_any_leg(spark, df, tmp_path):
    def validator(estimator, factor=2.0):
        maps = ParamGridBuilder().addGrid(estimator.stepSize, [0.01, 0.1, 0.3, 1.0, 2.0]).build()
        return CrossValidator(
            estimator=estimator, estimatorParamMaps=maps, evaluator=BinaryClassificationEvaluator(), numFolds=2, seed=1,
            halvingFactor=factor,
        )  # fmt: skip

    def told(found):
        return found.results.drop(columns="seconds").to_dict("records")

    def steps(*args, **params):
        return slow(*args, solver="gd", maxIter=12, tol=0.0, **params)

    watch = Watch()
    expected = validator(steps().setCallbacks([watch])).fit(df)
    assert set(expected.results["iterations"]) == {3, 6, 12}
    for after in np.linspace(25, len(watch.rounds) - 2, 5).astype(int):
        estimator = steps(tmp_path, checkpointInterval=1)
        with nothing_left(spark), pytest.raises(DriverLostError):
            validator(estimator.setCallbacks([Watch(after)])).fit(df)
        again = Watch()
        found = validator(estimator.setCallbacks([again])).fit(df)
        assert len(again.rounds) < len(watch.rounds)
        assert told(found) == told(expected)
        assert content(found.bestModel) == content(expected.bestModel)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(DriverLostError):
        validator(estimator.setCallbacks([Watch(40)])).fit(df)
    with pytest.warns(CheckpointWarning, match=r"nothing to go on from: .*factor=2.0.* there, .*factor=3.0.* here"):
        validator(estimator.setCallbacks([]), 3.0).fit(df)


def test_a_path_of_penalties_goes_on(df, tmp_path):
    def path(estimator, models=6):
        return RegParamPath(estimator, nLambda=models, ratio=0.01)

    whole, again = Watch(), Watch()
    expected = path(slow(solver="auto").setCallbacks([whole])).fit(df)
    estimator = slow(tmp_path, solver="auto", checkpointInterval=1)
    with pytest.raises(DriverLostError):
        path(estimator.setCallbacks([Watch(len(whole.rounds) // 2)])).fit(df)
    with pytest.raises(ForeignParamsError, match="a path of 6 penalties"):
        path(estimator, 5).fit(df)
    found = path(estimator.setCallbacks([again])).fit(df)
    assert len(again.rounds) < len(whole.rounds)
    assert found.path.coefficients.tolist() == expected.path.coefficients.tolist()
    assert list(tmp_path.iterdir()) == []


def test_other_params_are_refused_and_named(df, tmp_path):
    lost(slow(tmp_path), df)
    with pytest.raises(ForeignParamsError, match=r"regParam \(0\.0 there, 0\.5 here\).*resume='never'"):
        slow(tmp_path, regParam=0.5).fit(df)
    with pytest.raises(ForeignParamsError, match=r"solver \('nesterov' there, 'l-bfgs' here\)"):
        slow(tmp_path, solver="l-bfgs").fit(df)
    with pytest.raises(CheckpointError, match=r"takes another way|about another problem"):
        slow(tmp_path, solver="newton", resume="force").fit(df)
    with pytest.raises(ForeignParamsError, match="1 models there, 2 here"):
        slow(tmp_path).fit(df, grid(slow())[:2])


def test_params_that_change_no_step_may_differ(df, tmp_path):
    lost(slow(tmp_path), df)
    watch, changed = Watch(), slow(tmp_path, maxIter=34, maxSeconds=600.0, predictionCol="p", progress=False,
                                   keepOnInterrupt=True, checkpointInterval=3)  # fmt: skip
    assert content(changed.setCallbacks([watch]).fit(df)) == content(slow(maxIter=34).fit(df))
    assert watch.rounds[0] == 11


def test_steps_that_depend_on_max_iter_are_refused_with_another(df, tmp_path):
    cosine = {"solver": "gd", "schedule": "cosine", "stepSize": 0.1}
    lost(slow(tmp_path, **cosine), df)
    with pytest.raises(ForeignParamsError, match=r"maxIter \(29 there, 34 here\)"):
        slow(tmp_path, maxIter=34, **cosine).fit(df)


def test_other_data_are_refused_and_what_differs_is_told(spark, arrays, df, tmp_path):
    features, label = arrays
    lost(slow(tmp_path), df)
    fewer, parts = frame(spark, features[1:], label[1:]), frame(spark, features, label, 3)
    with pytest.raises(ForeignDataError, match=r"number of rows \(400 there, 399 here\)"):
        slow(tmp_path).fit(fewer)
    with pytest.raises(ForeignDataError, match=r"number of partitions \(1 there, 2 here\)"):
        slow(tmp_path).fit(parts)
    moved = features.copy()
    moved[7, 2] += 0.5
    with pytest.raises(ForeignDataError, match="means of features"):
        slow(tmp_path).fit(frame(spark, moved, label))
    swapped = np.r_[1, 0, 2:400]
    with pytest.raises(ForeignDataError, match="order of rows"):
        slow(tmp_path).fit(frame(spark, features[swapped], label[swapped]))
    with pytest.raises(ForeignDataError, match="of 4 features, the data of 3"):
        slow(tmp_path, resume="force").fit(frame(spark, features[:, :3], label))
    watch = Watch()
    forced, alone = slow(tmp_path, resume="force").setCallbacks([watch]).fit(fewer), slow().fit(fewer)
    assert watch.rounds[0] == 11
    assert forced.summary.objective == pytest.approx(alone.summary.objective, rel=1e-7)
    np.testing.assert_allclose(forced.coefficients, alone.coefficients, rtol=1e-4)
    assert forced.summary.objectiveHistory[0] < 1.01 * forced.summary.objective, "it began where the other was"
    assert list(tmp_path.iterdir()) == []


def test_never_starts_anew(df, tmp_path):
    lost(slow(tmp_path), df)
    watch = Watch()
    assert content(slow(tmp_path, resume="never").setCallbacks([watch]).fit(df)) == content(slow().fit(df))
    assert watch.rounds[0] == 1
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_one_is_passed_over_or_refused(df, tmp_path):
    lost(slow(tmp_path), df, 25)
    older, newer = files(tmp_path)
    newer.write_bytes(newer.read_bytes()[:-9])
    watch = Watch()
    with pytest.warns(CheckpointWarning, match="was passed over: .*truncated"), pytest.raises(DriverLostError):
        slow(tmp_path).setCallbacks([Watch(1)]).fit(df)
    older.write_bytes(older.read_bytes().replace(b"nesterov", b"Nesterov"))
    newer.write_bytes(older.read_bytes())
    with pytest.raises(DamagedCheckpointError, match="checksum"):
        slow(tmp_path).setCallbacks([watch]).fit(df)
    assert watch.rounds == []


@pytest.mark.parametrize("path", ["/dev/null/inside", "nosuchscheme://host/path", "file:///proc/nowhere"])
def test_a_directory_that_cannot_be_written_is_an_error_before_rows_are_read(df, monkeypatch, path):
    monkeypatch.setattr(training_data, "packed_rows", lambda *_: pytest.fail("rows were packed"))
    with pytest.raises(CheckpointError, match=r"cannot (write|reach) "):
        slow(path).fit(df)


@pytest.mark.parametrize(
    "wrong", [{"checkpointInterval": 0}, {"checkpointInterval": -2}, {"resume": "yes"}, {"checkpointDir": " "}]
)
def test_values_that_are_not_allowed_are_refused(df, wrong):
    with pytest.raises(InvalidParamError, match=next(iter(wrong))):
        slow(**wrong).fit(df)


def test_models_that_are_trained_together_have_one_directory(df, tmp_path):
    estimator = slow(tmp_path)
    maps = [{estimator.checkpointDir: str(tmp_path / name)} for name in "ab"]
    with pytest.raises(InvalidParamError, match="one checkpoint"):
        estimator.fit(df, maps)


def test_the_time_budget_counts_what_was_spent_before(df, tmp_path):
    estimator = slow(tmp_path, maxSeconds=600.0)
    lost(estimator, df)
    (path,) = files(tmp_path)
    content = unpacked(path.read_bytes())
    path.write_bytes(packed(replace(content, header=content.header | {"seconds": 1000.0})))
    model = estimator.fit(df)
    assert model.summary.status == "time budget"
    assert len(model.summary.secondsPerRound) == 11


class Steep:
    """A loss that no module has."""

    def __init__(self, factor=2.0):
        self.factor = factor

    def value(self, label, raw_prediction):
        return self.factor * (raw_prediction - label) ** 2 / 2

    def derivative(self, label, raw_prediction):
        return self.factor * (raw_prediction - label)


def test_a_loss_of_the_users_own_is_told_by_its_attributes(df, tmp_path):
    def own(factor):
        return GradientDescentRegressor(
            loss=Steep(factor), solver="nesterov", maxIter=29, tol=0.0, checkpointDir=str(tmp_path)
        )

    lost(own(2.0), df)
    with pytest.raises(ForeignParamsError, match=r"loss .*Steep.*2\.0.* there, .*3\.0.* here"):
        own(3.0).fit(df)
    watch = Watch()
    own(2.0).setCallbacks([watch]).fit(df)
    assert watch.rounds[0] == 11


def test_files_are_private_and_replaced_as_a_whole(spark, tmp_path, own_temporary):
    directory = writable_directory(spark, str(tmp_path / "new" / "deep"))
    folder = directory.folder("one")
    assert (folder.files(), folder.folders(), directory.folders()) == ([], [], [])
    for data in (b"", b"first", bytes(range(256)) * 10_000):
        folder.write("name", data)
        assert folder.read("name") == data
    place = tmp_path / "new" / "deep" / "one"
    assert [path.name for path in place.iterdir()] == ["name"], "no draft, no file of checksums"
    assert stat.S_IMODE((place / "name").stat().st_mode) == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not list(own_temporary.iterdir())
    assert directory.folders() == ["one"]
    with pytest.raises(CheckpointError, match=r"cannot read .*nothing: .*FileNotFoundException"):
        folder.read("nothing")
    folder.delete("name")
    folder.remove()
    folder.remove()
    assert directory.folders() == []


def test_a_full_disk_is_an_error_before_rows_are_read_and_later_a_warning(spark, df, tmp_path, monkeypatch):
    (tmp_path / "full").symlink_to("/dev/full")

    def onto_a_full_disk(self, draft, data):
        stream = self._jvm.java.io.FileOutputStream(str(tmp_path / "full"))
        with tempfile.NamedTemporaryFile() as spool:
            spool.write(data)
            spool.flush()
            self._copy(self._jvm.java.io.FileInputStream(spool.name), stream)

    estimator = slow(tmp_path / "kept")
    with monkeypatch.context() as patched:
        patched.setattr("sparkgd.engine.classic.files.HadoopDirectory._fill", onto_a_full_disk)
        patched.setattr(training_data, "packed_rows", lambda *_: pytest.fail("rows were packed"))
        with pytest.raises(CheckpointError, match="No space left on device"):
            estimator.fit(df)

    class Filling(Watch):
        def __call__(self, record):
            if record.round == 21:
                monkeypatch.setattr("sparkgd.engine.classic.files.HadoopDirectory._fill", onto_a_full_disk)

    with pytest.warns(CheckpointWarning, match="after round 30, and training goes on: .*No space left"):
        model = estimator.setCallbacks([Filling()]).fit(df)
    assert content(model) == content(slow().fit(df))
    assert files(tmp_path / "kept") == []


def test_no_warning_is_given_when_all_is_well(df, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CheckpointWarning)
        lost(slow(tmp_path), df)
        slow(tmp_path).fit(df)
