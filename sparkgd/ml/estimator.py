"""The fit template: params, schema, data, solve, model, in this order for every estimator."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pyspark.ml.base import Estimator, Model
from pyspark.ml.util import DefaultParamsReadable, MLWritable
from pyspark.sql import DataFrame

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import ConvergenceWarning, DivergedError, InvalidParamError
from sparkgd.losses.base import LabelRange, Loss
from sparkgd.ml.columns import InputColumns
from sparkgd.ml.constant_label import ConstantLabelSummary, warn_of_constant_label
from sparkgd.ml.data_checks import check_label
from sparkgd.ml.display.progress import ProgressLine
from sparkgd.ml.params.class_weights import class_weights_of
from sparkgd.ml.params.penalty import column_penalty, intercept_penalty
from sparkgd.ml.params.rules import Rule, check_params, one_of
from sparkgd.ml.params.shared import TrainingParams, set_all, value_or_none
from sparkgd.ml.persistence import EstimatorWriter
from sparkgd.ml.summary import TrainingSummary
from sparkgd.ml.training_data import TrainingData, training_data
from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import SOLVERS, SolverSettings
from sparkgd.training.constant_label import decided_model
from sparkgd.training.loop import Callback, Outcome, Task, train
from sparkgd.training.plan import Prepared, prepare
from sparkgd.training.settings import TrainingSpec
from sparkgd.training.stopping import Stopping

ModelT = TypeVar("ModelT", bound=Model)
Array = npt.NDArray[np.float64]


class LinearEstimator(Estimator[ModelT], TrainingParams, MLWritable, DefaultParamsReadable, Generic[ModelT]):  # type: ignore[type-arg]
    """Base of all estimators: a subclass names its loss, its penalty and its model."""

    _callbacks: tuple[Callback, ...] = ()

    def __init__(self, **params: Any) -> None:
        super().__init__()
        self._set_training_defaults()
        self._set_own_defaults()
        set_all(self, params)

    def _set_own_defaults(self) -> None:
        """Defaults of the params that only this estimator has."""

    def setParams(self, **params: Any) -> LinearEstimator[ModelT]:
        """Set params by name; returns the object itself.

        Raises
        ------
        TypeError
            If a name is not a param of this estimator, or a value has the wrong type.
        """
        return set_all(self, params)

    def setCallbacks(self, callbacks: Sequence[Callback]) -> LinearEstimator[ModelT]:
        """Functions called with a `sparkgd.training.loop.Record` after every round; a true result stops the fit.

        Callbacks survive ``copy`` but are not saved.
        """
        self._callbacks = tuple(callbacks)
        return self

    def checkParams(self) -> None:
        """Check the value of every param, as ``fit`` does before it looks at the data.

        Raises
        ------
        InvalidParamError
            If a value is not allowed.
        """
        check_params(self, self._rules())

    @abstractmethod
    def _loss(self, data: TrainingData) -> Loss:
        """The loss, given what is known of the data."""

    def _penalty(self, statistics: Statistics, outputs: int) -> Penalty:
        """The penalty of the flat weights."""
        return column_penalty(self, statistics, outputs)

    def _label_range(self, loss: Loss) -> LabelRange:
        """The labels that can be trained on."""
        return loss.label_range

    @abstractmethod
    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> ModelT:
        """The model of weights (K, p) and intercepts (K,)."""

    def write(self) -> EstimatorWriter:
        """Writer of the params; ``write().overwrite().save(path)`` replaces what is there."""
        return EstimatorWriter(self)

    def _rules(self) -> dict[str, Rule]:
        """Rules of params beyond `sparkgd.ml.params.rules.RULES`."""
        return {"solver": one_of("auto", *SOLVERS)}

    def _fit(self, dataset: DataFrame) -> ModelT:
        self.checkParams()
        name = type(self).__name__
        with training_data(
            dataset, self._columns(), self.getOrDefault("execution"), self.getOrDefault("dtype"),
            self.getOrDefault("aggregationDepth"), self.getOrDefault("balance"),
            self.getOrDefault("blockAccess"), name,
            class_weights_of(value_or_none(self, "classWeight")), self._moments_suffice(),
        ) as data:  # fmt: skip
            loss = self._loss(data)
            columns = self._columns()
            check_label(data.label, columns, loss.name, self._label_range(loss))
            decided = decided_model(self._spec(loss, data), data.statistics, columns.offset is not None)
            warn_of_constant_label(name, columns.label, data.statistics, decided)
            if decided is not None:
                return self._fitted(decided.weights, decided.intercepts, loss, ConstantLabelSummary(decided, data))
            prepared, outcome = self._solve(loss, data)
            summary = TrainingSummary(outcome, prepared, data)
        _report(name, outcome, self.getOrDefault("maxIter"))
        layout = prepared.task.objective.layout
        return self._fitted(layout.weights(outcome.coef), layout.intercepts(outcome.coef), loss, summary)

    def _fitted(self, weights: Array, intercepts: Array, loss: Loss, summary: TrainingSummary) -> ModelT:
        """The model with its summary and this estimator's params."""
        model = self._create_model(weights, intercepts, loss)
        model._resetUid(self.uid)
        model._summary = summary  # type: ignore[attr-defined]
        return self._copyValues(model)

    def _solve(self, loss: Loss, data: TrainingData) -> tuple[Prepared, Outcome]:
        """Minimise the objective."""
        prepared = prepare(self._spec(loss, data), data.statistics, data.rows, data.engine, data.pilot)
        return prepared, self._train(data, prepared.task)

    def _train(self, data: TrainingData, task: Task) -> Outcome:
        """Run the loop, with a progress line where asked for."""
        keep = self.getOrDefault("keepOnInterrupt")
        if not self.getOrDefault("progress"):
            return train(data.engine, [task], self._callbacks, keep)[0]
        with ProgressLine(type(self).__name__) as line:
            outcome = train(data.engine, [task], [*self._callbacks, line], keep)[0]
            line.finish(outcome.ending)
        return outcome

    def _moments_suffice(self) -> bool:
        """Whether first and second moments are all that the fit needs to know of the rows."""
        return False

    def _columns(self) -> InputColumns:
        several = value_or_none(self, "featuresCols")
        return InputColumns(
            features=tuple(several) if several else self.getOrDefault("featuresCol"),
            label=self.getOrDefault("labelCol"),
            weight=value_or_none(self, "weightCol") or None,
            offset=value_or_none(self, "offsetCol") or None,
            validation=value_or_none(self, "validationIndicatorCol"),
        )

    def _spec(self, loss: Loss, data: TrainingData) -> TrainingSpec:
        """The params in NumPy's spelling: the one place of translation."""
        return TrainingSpec(
            loss=loss,
            penalty=self._penalty,
            intercept_penalty=intercept_penalty(self, loss.num_outputs),
            fit_intercept=self.getOrDefault("fitIntercept"),
            standardize=value_or_none(self, "standardization") or False,
            solver=self._solver_settings(),
            stopping=Stopping(
                max_iterations=self.getOrDefault("maxIter"),
                tol=self.getOrDefault("tol"),
                max_seconds=value_or_none(self, "maxSeconds") or np.inf,
                patience=value_or_none(self, "earlyStoppingRounds") or 0,
            ),
            start=self._starting_point(data, loss),
            held_out=data.held_out,
            name=type(self).__name__,
        )

    def _solver_settings(self) -> SolverSettings:
        return SolverSettings(
            name=self.getOrDefault("solver"),
            step_size=value_or_none(self, "stepSize"),
            schedule=self.getOrDefault("schedule"),
            momentum=self.getOrDefault("momentum"),
            updater=self.getOrDefault("updater"),
            averaging=self.getOrDefault("averaging"),
            horizon=self.getOrDefault("maxIter"),
            batch_size=value_or_none(self, "batchSize"),
            fraction=self.getOrDefault("miniBatchFraction"),
            local_epochs=self.getOrDefault("localEpochs"),
            seed=self.getOrDefault("seed"),
            tol=self.getOrDefault("tol"),
        )

    def _starting_point(self, data: TrainingData, loss: Loss) -> tuple[Array, Array | None] | None:
        """The user's warm start; a part that is not given starts as it would have without one."""
        rows, intercepts = value_or_none(self, "initialCoefficients"), value_or_none(self, "initialIntercept")
        if rows is None and intercepts is None:
            return None
        outputs = loss.num_outputs - loss.num_scalars
        shape = (outputs, len(data.statistics.mean))
        if intercepts is not None and len(intercepts) != outputs:
            raise InvalidParamError(f"initialIntercept has {len(intercepts)} values, but the data need {outputs}")
        weights = np.zeros(shape) if rows is None else np.asarray(rows)
        return weights, None if intercepts is None else np.asarray(intercepts)


def _report(name: str, outcome: Outcome, max_iter: int) -> None:
    """Turn endings that are no success into a warning or an error."""
    ending = outcome.ending
    if ending.status is Status.DIVERGED:
        raise DivergedError(f"{name} diverged: {ending.reason}", outcome.coef)
    if ending.status in (Status.MAX_ITERATIONS, Status.MAX_SECONDS, Status.STALLED) and max_iter > 0:
        warnings.warn(f"{name} did not converge: {ending.reason}", ConvergenceWarning, stacklevel=4)
