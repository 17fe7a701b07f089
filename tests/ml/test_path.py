"""A path of penalties: the models of separate fits, in few rounds; which one is returned; what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from scipy import sparse

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression
from sparkgd.tuning import RegParamPath
from tests.support.frames import frame, sparse_frame
from tests.support.leftovers import nothing_left

RNG = np.random.default_rng(11)
ROWS = 400
X = RNG.normal(size=(ROWS, 6)) * np.array([1.0, 4.0, 0.3, 1.0, 1.0, 2.0])
X[:, 5] = X[:, 0]  # two columns that stand in for each other
MARGIN = X[:, 0] - 0.4 * X[:, 1] + 2.0 * X[:, 2]
Y = (MARGIN + RNG.logistic(size=ROWS) > 0).astype(float)


@pytest.fixture(scope="module")
def df(spark):
    columns = {name: X[:, j] for j, name in enumerate("abc")}
    data = frame(spark, X, Y, number=MARGIN + RNG.normal(size=ROWS), count=RNG.poisson(2.0, ROWS) * 1.0, **columns)
    data = data.cache()
    data.count()
    yield data
    data.unpersist()


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(elasticNetParam=1.0),
        LogisticRegression(elasticNetParam=0.5, standardization=False),
        LogisticRegression(family="multinomial", elasticNetParam=1.0),
        LinearRegression(labelCol="number", elasticNetParam=1.0),
        LinearRegression(labelCol="number"),
        LinearSVC(),
        GeneralizedLinearRegression(labelCol="count", family="poisson"),
        GradientDescentClassifier(penaltyGroups=[0, 0, 0, 1, 1, 1], elasticNetParam=1.0),
    ],
    ids=lambda each: type(each).__name__,
)
def test_every_model_of_a_path_is_that_of_a_separate_fit(df, estimator):
    with nothing_left(df.sparkSession):
        path = estimator.regParamPath(nLambda=12, ratio=1e-2).fit(df).path
    assert len(path) == 12
    np.testing.assert_allclose(path.regParams[1:] / path.regParams[:-1], 1e-2 ** (1 / 11))
    if estimator.hasParam("elasticNetParam") and estimator.getElasticNetParam() > 0.0:
        assert path.numNonzeros[0] == 0
        assert path.numNonzeros[1] > 0
    for number in (1, 6, 11):
        alone = estimator.copy({estimator.regParam: float(path.regParams[number])}).fit(df)
        assert path.objectives[number] == pytest.approx(alone.summary.objective, rel=1e-7)
        assert path.models[number].getRegParam() == path.regParams[number]


def test_a_path_takes_few_rounds_and_is_smooth_where_columns_stand_in_for_each_other(df):
    path = LogisticRegression(elasticNetParam=1.0).regParamPath(40, 1e-3).fit(df).path
    assert path.table["rounds"].sum() <= 3 * len(path)
    assert (path.table["status"] == "converged").all()
    twins = path.coefficients[:, 0, [0, 5]]
    late = twins[10:]
    assert np.abs(np.diff(late, axis=0)).max() < 0.1 * np.abs(late).max()


def test_the_weakest_penalty_is_chosen_unless_validation_rows_tell(df):
    plain = LogisticRegression(elasticNetParam=1.0).regParamPath(8).fit(df)
    assert plain.path.chosen == 7
    assert plain.getRegParam() == plain.path.regParams[7]
    assert np.isnan(plain.path.validationLosses).all()
    noisy = frame(df.sparkSession, RNG.normal(size=(60, 30)), RNG.integers(0, 2, 60) * 1.0)
    marked = noisy.selectExpr("*", "monotonically_increasing_id() % 3 = 0 as held")
    estimator = LogisticRegression(elasticNetParam=1.0, validationIndicatorCol="held")
    model = estimator.regParamPath(12, 1e-4).fit(marked)
    losses = model.path.validationLosses
    assert model.path.chosen == int(np.argmin(losses)) < 11
    assert losses[0] < losses[-1]  # labels are noise: the strongest penalties are right
    assert list(model.coefficients) == list(model.path.models[model.path.chosen].coefficients)


def test_a_path_is_an_estimator_of_pipelines_that_is_saved_and_copied(df, tmp_path):
    assembler = VectorAssembler(inputCols=["a", "b", "c"], outputCol="vector")
    path = LogisticRegression(featuresCol="vector", elasticNetParam=1.0).regParamPath(5, 0.1)
    model = Pipeline(stages=[assembler, path]).fit(df)
    assert len(model.stages[-1].path) == 5
    path.save(str(tmp_path / "path"))
    loaded = RegParamPath.load(str(tmp_path / "path"))
    assert (loaded.getNLambda(), loaded.getRatio(), loaded.uid) == (5, 0.1, path.uid)
    assert loaded.getEstimator().getFeaturesCol() == "vector"
    copied = loaded.copy({loaded.nLambda: 3, loaded.getEstimator().tol: 1e-3})
    assert (copied.getNLambda(), copied.getEstimator().getTol()) == (3, 1e-3)
    assert (loaded.getNLambda(), loaded.getEstimator().getTol()) == (5, 1e-6)
    model.save(str(tmp_path / "model"))
    again = PipelineModel.load(str(tmp_path / "model")).stages[-1]
    assert again.getRegParam() == model.stages[-1].getRegParam()
    with pytest.raises(RuntimeError, match="a loaded model has none"):
        _ = again.path


def test_a_path_that_was_interrupted_goes_on_from_its_checkpoint(df, tmp_path):
    estimator = LogisticRegression(
        elasticNetParam=1.0, execution="cluster", checkpointDir=str(tmp_path), checkpointInterval=1
    )

    def lost(record):
        if record.stage == "all rows" and record.round == 2:
            raise KeyboardInterrupt

    whole = estimator.regParamPath(6, 0.01).fit(df).path
    with pytest.raises(KeyboardInterrupt):
        estimator.copy().setCallbacks([lost]).regParamPath(6, 0.01).fit(df)
    rounds = []
    resumed = estimator.copy().setCallbacks([rounds.append]).regParamPath(6, 0.01).fit(df).path
    assert {record.stage for record in rounds} <= {"all rows"}  # leads were found before
    np.testing.assert_array_equal(resumed.coefficients, whole.coefficients)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_columns_left_out_change_no_model_and_no_bit_wherever_rows_are(spark, monkeypatch):
    """As if a hundred columns were too many for a Hessian, and as if most others were constant."""
    for module in ("auto", "few_weights"):
        monkeypatch.setattr(f"sparkgd.training.{module}.NEWTON_SIZE", 1)
    random, width = np.random.default_rng(4), 100
    entries = sparse.random_array((600, width), density=0.2, rng=random, data_sampler=random.standard_normal).tocsr()
    label = (entries[:, :5].sum(axis=1) + random.logistic(size=600) > 0.0).astype(float)
    spread = sparse.csr_array((entries.data, 200 * entries.indices, entries.indptr), shape=(600, 20_000))
    found = {}
    for name, features in (("narrow", entries), ("wide", spread)):
        data = sparse_frame(spark, features, label)
        for execution in ("driver", "cluster"):
            estimator = LogisticRegression(elasticNetParam=0.9, execution=execution, tol=1e-6)
            with nothing_left(spark):
                path = estimator.regParamPath(nLambda=5, ratio=0.2).fit(data).path
            step = features.shape[1] // width
            found[name, execution] = np.array([model.coefficients.toArray()[::step][:width] for model in path.models])
            stages = [stage.name for model in path.models for stage in model.summary.stages]
            assert "columns left out" in stages
            if name == "narrow":
                alone = [estimator.copy({estimator.regParam: float(each)}).fit(data) for each in path.regParams[3:5]]
                for mine, other in zip(found[name, execution][3:5], alone, strict=True):
                    np.testing.assert_allclose(mine, other.coefficients.toArray(), atol=1e-3)
        assert found[name, "driver"].tobytes() == found[name, "cluster"].tobytes()
    np.testing.assert_allclose(found["narrow", "driver"], found["wide", "driver"], atol=1e-3)


@pytest.mark.usefixtures("headless")
def test_the_plot_names_the_largest_coefficients(df):
    estimator = LogisticRegression(featuresCols=["a", "b", "c"], elasticNetParam=1.0)
    ax = estimator.regParamPath(10).fit(df).path.plot()
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"a", "b", "c"}
    assert ax.get_title(loc="left") == "3 of 3 coefficients at the choice"


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: LogisticRegression().regParamPath(1), InvalidParamError, "nLambda=1 must be at least 2"),
        (lambda: LogisticRegression().regParamPath(ratio=1.0), InvalidParamError, "ratio=1 must be between 0 and 1"),
        (
            lambda: LogisticRegression(initialCoefficients=[1.0]).regParamPath(),
            IncompatibleError,
            "initialCoefficients cannot be used with a path",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_row_is_read(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
