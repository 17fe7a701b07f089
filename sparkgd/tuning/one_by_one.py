"""Folds x param maps as ``pyspark.ml.tuning`` trains them: fold by fold, each model scored by its evaluator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing.pool import ThreadPool
from typing import Any

from pyspark.ml.base import Estimator
from pyspark.ml.evaluation import Evaluator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.exceptions import SparkGDError
from sparkgd.ml.errors import InvalidDataError
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.fitting import fit_together
from sparkgd.tuning.results import ParamMap, Trial, refused
from sparkgd.tuning.search import Folds


def trials_one_by_one(
    estimator: Estimator[Any],
    maps: Sequence[ParamMap],
    evaluator: Evaluator,
    folds: Folds,
    parallelism: int,
    collect: bool,
) -> list[Trial]:
    """The trials of all folds; of sparkgd's own estimators the models of a fold are trained together.

    Raises
    ------
    InvalidDataError
        If a fold that the user numbered has no rows, or all of them.
    """
    trials: list[Trial] = []
    for fold in folds.numbers:
        train = folds.df.filter(F.col(folds.column) != fold).drop(folds.column)
        held_out = folds.df.filter(F.col(folds.column) == fold).drop(folds.column)
        train, held_out = train.persist(), held_out.persist()
        try:
            if folds.are_given:
                _check(fold, train, held_out)
            with ThreadPool(min(parallelism, len(maps))) as pool:
                trial = _trial_of(estimator, maps, evaluator, fold, train, held_out, collect)
                trials += pool.map(trial, range(len(maps)), chunksize=1)
        finally:
            train.unpersist()
            held_out.unpersist()
    return trials


def _check(fold: int, train: DataFrame, held_out: DataFrame) -> None:
    for name, rows in (("training", train), ("validation", held_out)):
        if rows.isEmpty():
            raise InvalidDataError(f"The {name} data at fold {fold} is empty; give every fold some rows")


def _trial_of(
    estimator: Estimator[Any],
    maps: Sequence[ParamMap],
    evaluator: Evaluator,
    fold: int,
    train: DataFrame,
    held_out: DataFrame,
    collect: bool,
) -> Callable[[int], Trial]:
    """Function from the position of a map to its trial."""
    if isinstance(estimator, LinearEstimator):
        models = fit_together(train, [estimator.copy(dict(params)) for params in maps])
    else:
        models = None

    def trial(number: int) -> Trial:
        try:
            model = estimator.fit(train, dict(maps[number])) if models is None else models[number]
            if isinstance(model, SparkGDError):
                raise model
        except SparkGDError as error:
            return refused(fold, number, error)
        metric = float(evaluator.evaluate(model.transform(held_out, dict(maps[number]))))
        summary = getattr(model, "_summary", None)
        status = "" if summary is None else summary.status
        reason = "" if summary is None else summary.statusReason
        solver = "" if summary is None else summary.solver
        return Trial(fold, number, metric, status, reason, solver, model=model if collect else None)

    return trial
