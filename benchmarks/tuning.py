"""Cross-validation side by side: ``python -m benchmarks.tuning``.

For each case 5 folds and 8 param maps, by pyspark's CrossValidator over MLlib's estimator, by the same over ours, and
by `sparkgd.tuning.CrossValidator`; then what 40 models, or a path of 100, cost in fits of one model. Most of what
pyspark's own takes over our estimators is not theirs: it caches the folds, and scores and evaluates each model with
jobs of its own. That is measured as well, with an estimator that has nothing to do. With ``--what parity`` more data
sets and losses are cross-validated by MLlib and by us, and their metrics compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyspark.ml import Estimator, Model
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.ml import tuning as mllib_tuning
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.sql import DataFrame, SparkSession

from benchmarks.cases import shared, synthetic
from benchmarks.session import local_session
from sparkgd import classification, regression, tuning

FOLDS, SEED = 5, 7


@dataclass(frozen=True)
class TuningCase:
    """One cross-validation.

    Attributes
    ----------
    name : str
    estimator : str
        Name of the class, in ``pyspark.ml`` and here.
    load : callable
    grid : dict of str to list
    evaluator : callable
    params : dict
        Of the estimator.
    target : float
        The ratio to MLlib that the project promises.
    company : float
        How many fits' worth of seconds 40 models may cost; inf where nothing is promised.
    """

    name: str
    estimator: str
    load: Callable[[SparkSession], DataFrame]
    grid: dict[str, list[Any]]
    evaluator: Callable[[], Any] = RegressionEvaluator
    params: dict[str, Any] = field(default_factory=dict)
    target: float = 1.0
    company: float = np.inf


Binary = BinaryClassificationEvaluator
POISSON = {"family": "poisson"}


def Multiclass() -> Any:
    """Accuracy."""
    return MulticlassClassificationEvaluator(metricName="accuracy")


def first_rows(name: str, count: int) -> Callable[[SparkSession], DataFrame]:
    """So many rows of a data set of ``shared/data``, in the order of the file."""

    def load(spark: SparkSession) -> DataFrame:
        return spark.createDataFrame(shared(name)(spark).take(count)).repartition(4)

    return load


STRENGTHS = [float(value) for value in np.geomspace(1e-5, 1e-1, 8)]
MIXED = {"regParam": [1e-3, 1e-2, 0.1, 1.0], "elasticNetParam": [0.5, 1.0]}

CASES = [
    TuningCase(
        "kdd99",
        "LogisticRegression",
        shared("kdd99"),
        {"regParam": STRENGTHS},
        BinaryClassificationEvaluator,
        target=15.0,
        company=4.0,
    ),
    TuningCase(
        "dense 500k x 100",
        "LogisticRegression",
        synthetic(500_000, 100, "class"),
        {"regParam": STRENGTHS},
        BinaryClassificationEvaluator,
        target=15.0,
        company=4.0,
    ),
    TuningCase(
        "a9a", "LogisticRegression", shared("a9a"), {"regParam": STRENGTHS}, BinaryClassificationEvaluator, target=20.0
    ),
    TuningCase(
        "linear regression 500k x 100",
        "LinearRegression",
        synthetic(500_000, 100, "number"),
        MIXED,
        target=30.0,
        company=1.5,
    ),
    TuningCase("cadata", "LinearRegression", shared("cadata"), MIXED, target=20.0),
]

STRICT = {"tol": 1e-9, "maxIter": 1000}
"""Where MLlib's default ends short of the optimum by more than metrics may differ."""

LASSO = {"elasticNetParam": 1.0}
L1_STRENGTHS = [float(value) for value in np.geomspace(1e-4, 1e-2, 4)]

PARITY = [
    TuningCase("kdd99 L1", "LogisticRegression", shared("kdd99"), {"regParam": L1_STRENGTHS}, Binary, LASSO),
    TuningCase("a9a L1", "LogisticRegression", shared("a9a"), {"regParam": L1_STRENGTHS}, Binary, LASSO),
    TuningCase("a9a SVC", "LinearSVC", shared("a9a"), {"regParam": [1e-4, 1e-3, 1e-2, 0.1]}, Binary),
    TuningCase("covtype20k", "LogisticRegression", shared("covtype20k"), {"regParam": [1e-4, 1e-2]}, Multiclass),
    TuningCase(
        "covtype20k elastic net",
        "LogisticRegression",
        shared("covtype20k"),
        {"regParam": [1e-3, 1e-2], "elasticNetParam": [0.5, 1.0]},
        Multiclass,
        STRICT,
    ),
    TuningCase("mnist 10k", "LogisticRegression", first_rows("mnist", 10_000), {"regParam": [1e-3, 1e-1]}, Multiclass),
    TuningCase("abalone", "LinearRegression", shared("abalone"), MIXED, params=STRICT),
    TuningCase(
        "abalone Poisson", "GeneralizedLinearRegression", shared("abalone"), {"regParam": STRENGTHS}, params=POISSON
    ),
    TuningCase("bike Poisson", "GeneralizedLinearRegression", shared("bike"), {"regParam": STRENGTHS}, params=POISSON),
]
"""What is compared, but not timed."""

STOCK_TARGET = 6.0
"""The ratio to MLlib of pyspark's own CrossValidator over our estimators."""

PATH, PATH_TARGET = 100, 5.0
"""Values of a path, and how many fits' worth of seconds it may cost."""


class Given(Estimator[Model]):
    """An estimator that has its model already.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model

    def _fit(self, dataset: DataFrame) -> Model:
        return self._model


def main() -> None:
    """Run the cases and print the ratios."""
    options = _options()
    spark = local_session(options.master)
    for case in PARITY if options.what == ["parity"] else CASES:
        if options.case and not any(word in case.name for word in options.case):
            continue
        frame = case.load(spark).cache()
        frame.count()
        if "parity" in options.what:
            _parity(case, frame)
        if "cv" in options.what:
            _cross_validation(case, frame, options.repeats)
        if "width" in options.what:
            _width(case, frame, options.repeats)
        frame.unpersist()
    spark.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help="words of the names of the cases to run; default: all")
    parser.add_argument("--what", nargs="+", default=["cv", "width"], choices=["cv", "width", "parity"])
    parser.add_argument("--repeats", type=int, default=1, help="timed runs of each rival")
    parser.add_argument("--master", default="local[2]")
    return parser.parse_args()


def _cross_validation(case: TuningCase, frame: DataFrame, repeats: int) -> None:
    own, theirs = homes(case)
    rivals = {
        "sparkgd": _validator(tuning.CrossValidator, own, case),
        "stock over sparkgd": _validator(mllib_tuning.CrossValidator, own, case),
        "MLlib": _validator(mllib_tuning.CrossValidator, theirs, case),
    }
    # Both fits warm up: imports of workers, and what the JVM compiles for every rival.
    ours = rivals["sparkgd"]
    given, maps = Given(ours.fit(frame).bestModel), len(rivals["MLlib"].getEstimatorParamMaps())
    rivals["evaluation alone"] = rivals["MLlib"].copy().setEstimator(given).setEstimatorParamMaps([{}] * maps)
    rivals["evaluation alone"].fit(frame)
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    models: dict[str, Any] = {}
    for _ in range(repeats):
        ours.getEstimator().fit(frame)  # Spark has ended Python workers that idled for a minute, as beside MLlib
        for name, validator in rivals.items():
            took, models[name] = timed(validator.fit, frame)
            seconds[name].append(took)
            print(f"  {case.name}, {name}: {took:.2f} s", flush=True)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    for name, target in (("sparkgd", case.target), ("stock over sparkgd", STOCK_TARGET)):
        apart = np.max(np.abs(np.subtract(models[name].avgMetrics, models["MLlib"].avgMetrics)))
        ratio = medians["MLlib"] / medians[name]
        print(f"{case.name}, {name}: {ratio:.1f} times MLlib's speed (target {target:g}); metrics {apart:.1e} apart")
    alone = medians["evaluation alone"]
    ratio = (medians["MLlib"] - alone) / (medians["stock over sparkgd"] - alone)
    print(f"{case.name}, stock over sparkgd: {ratio:.1f} times MLlib's speed but for {alone:.2f} s that both evaluate")


def homes(case: TuningCase) -> tuple[Any, Any]:
    """The modules of the case's estimator, ours and MLlib's."""
    if case.estimator in ("LogisticRegression", "LinearSVC"):
        return classification, mllib_classification
    return regression, mllib_regression


def _parity(case: TuningCase, frame: DataFrame) -> None:
    """Are the metrics MLlib's, and is the same map the best?"""
    own, theirs = homes(case)
    took, ours = timed(_validator(tuning.CrossValidator, own, case).fit, frame)
    stock_took, stock = timed(_validator(mllib_tuning.CrossValidator, theirs, case).fit, frame)
    pick = np.argmax if case.evaluator().isLargerBetter() else np.argmin
    best = int(pick(ours.avgMetrics)), int(pick(stock.avgMetrics))
    apart = np.abs(np.subtract(ours.avgMetrics, stock.avgMetrics))
    text = f"metrics at most {apart.max():.1e} apart, best map {best[0]} and {best[1]}"
    print(f"{case.name}: {text}; {took:.1f} and {stock_took:.1f} s")
    print("   ", np.round(ours.avgMetrics, 6), np.round(stock.avgMetrics, 6), flush=True)


def _validator(kind: Any, home: Any, case: TuningCase) -> Any:
    estimator = getattr(home, case.estimator)(**case.params)
    grid = mllib_tuning.ParamGridBuilder()
    for name, values in case.grid.items():
        grid = grid.addGrid(estimator.getParam(name), values)
    return kind(
        estimator=estimator,
        estimatorParamMaps=grid.build(),
        evaluator=case.evaluator(),
        numFolds=FOLDS,
        seed=SEED,
        parallelism=2,
    )


def _width(case: TuningCase, frame: DataFrame, repeats: int) -> None:
    """What many models cost in fits of one."""
    own, _ = homes(case)
    estimator = getattr(own, case.estimator)(regParam=1e-3)
    validator = _validator(tuning.CrossValidator, own, case)
    rivals: dict[str, Callable[[DataFrame], Any]] = {
        "one": estimator.fit,
        "40 models": validator.fit,
        f"a path of {PATH}": estimator.copy().regParamPath(nLambda=PATH, ratio=1e-3).fit,
    }
    if case.estimator.startswith("Logistic"):
        lasso = estimator.copy().setElasticNetParam(1.0)
        rivals |= {"one, L1": lasso.fit, f"a path of {PATH}, L1": lasso.copy().regParamPath(PATH, 1e-3).fit}
    medians = {}
    for name, fit in rivals.items():
        fit(frame)
        medians[name] = statistics.median(timed(fit, frame)[0] for _ in range(max(repeats, 3)))
        print(f"  {case.name}, {name}: {medians[name]:.2f} s", flush=True)
    print(f"{case.name}: 40 models cost {medians['40 models'] / medians['one']:.1f} fits (target {case.company:g})")
    for kind in ("", ", L1"):
        if f"one{kind}" in medians:
            cost = medians[f"a path of {PATH}{kind}"] / medians[f"one{kind}"]
            print(f"{case.name}: a path of {PATH}{kind} costs {cost:.1f} fits (target {PATH_TARGET:g})")


def timed(function: Callable[[DataFrame], Any], frame: DataFrame) -> tuple[float, Any]:
    """Seconds of a call, and what it returned."""
    began = time.perf_counter()
    found = function(frame)
    return time.perf_counter() - began, found


if __name__ == "__main__":
    main()
