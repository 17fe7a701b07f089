"""The fit template: params, schema, data, solve, model, in this order for every estimator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pyspark.ml.base import Estimator, Model
from pyspark.ml.param import Param
from pyspark.ml.util import DefaultParamsReadable, MLWritable
from pyspark.sql import DataFrame

from sparkgd.data.statistics import Statistics
from sparkgd.engine.base import Packing
from sparkgd.kernels.predictions import Prediction
from sparkgd.losses.base import LabelRange, Loss
from sparkgd.ml.columns import InputColumns, input_columns
from sparkgd.ml.data_checks import check_label
from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.fitting import ModelIterator, fit_together, raised
from sparkgd.ml.model_fits import ModelFit
from sparkgd.ml.params.penalty import column_penalty, intercept_penalty, intercept_penalty_kind, penalty_kind
from sparkgd.ml.params.rules import Rule, check_params, one_of
from sparkgd.ml.params.shared import TrainingParams, set_all, value_or_none
from sparkgd.ml.partial_fit import LearnsFromBatches
from sparkgd.ml.path import RegParamPath
from sparkgd.ml.persistence import EstimatorReader, EstimatorWriter
from sparkgd.ml.step_size import StepSizeTest, step_size_test
from sparkgd.ml.summary import TrainingSummary
from sparkgd.ml.training_data import TrainingData
from sparkgd.penalties import OnWeights, Penalty
from sparkgd.solvers.registry import SOLVERS, check_settings
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.auto import check_solver
from sparkgd.training.fit import Fitted, fit_stages
from sparkgd.training.lead import Lead
from sparkgd.training.loop import Callback
from sparkgd.training.outline import TrainingSet, check_finite
from sparkgd.training.plan import Stages
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping

ModelT = TypeVar("ModelT", bound=Model)
Array = npt.NDArray[np.float64]


class LinearEstimator(
    Estimator[ModelT],
    TrainingParams,
    LearnsFromBatches[ModelT],
    MLWritable,
    DefaultParamsReadable,  # type: ignore[type-arg]
    Generic[ModelT],
):
    """Base of all estimators: a subclass names its loss, its penalty and its model."""

    _callbacks: tuple[Callback, ...] = ()

    def __init__(self, **params: Any) -> None:
        super().__init__()
        self._set_training_defaults()
        self._set_own_defaults()
        self.setParams(**params)

    def _set_own_defaults(self) -> None:
        """Defaults of the params that only this estimator has."""

    def setParams(self, **params: Any) -> LinearEstimator[ModelT]:
        """Set params by name; returns the object itself.

        Raises
        ------
        TypeError
            If a name is not a param of this estimator, or a value has the wrong type.
        InvalidParamError
            If values contradict each other.
        """
        set_all(self, params)
        self._check_given()
        return self

    def _check_given(self) -> None:
        """Refuse params that contradict each other, as soon as they are set by name."""

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
    def _loss(self, classes: int) -> Loss:
        """The loss; of the labels it may know the number of classes, which is 2 as long as no row has been read."""

    def _num_classes(self, data: TrainingData) -> int:
        """Number of classes of the labels, where these are classes."""
        return 0

    def _penalty(self, statistics: Statistics, outputs: int) -> Penalty:
        """The penalty of the flat weights."""
        return column_penalty(self, statistics, outputs)

    def _label_range(self, loss: Loss) -> LabelRange:
        """The labels that can be trained on."""
        return loss.label_range

    @abstractmethod
    def _prediction(self, outputs: int) -> Prediction:
        """How the model's prediction follows from so many raw predictions of a row."""

    @abstractmethod
    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> ModelT:
        """The model of weights (K, p) and intercepts (K,)."""

    def write(self) -> EstimatorWriter:
        """Writer of the params; ``write().overwrite().save(path)`` replaces what is there."""
        return EstimatorWriter(self)

    @classmethod
    def read(cls) -> EstimatorReader:
        """Reader of what `write` saved."""
        return EstimatorReader(cls)

    def _rules(self) -> dict[str, Rule]:
        """Rules of params beyond `sparkgd.ml.params.rules.RULES`."""
        return {"solver": one_of("auto", *SOLVERS)}

    def _fit(self, dataset: DataFrame) -> ModelT:
        return raised(fit_together(dataset, [self])[0])

    def fitMultiple(
        self, dataset: DataFrame, paramMaps: Sequence[dict[Param[Any], Any]]
    ) -> Iterator[tuple[int, ModelT]]:
        """Fit a model for each param map, all of them together: the rows are packed once, and models share rounds.

        Param maps that read other columns, or pack or execute otherwise, share with those that do the same. This is
        what ``fit(dataset, paramMaps)`` and the tuning classes of ``pyspark.ml`` call.

        Parameters
        ----------
        dataset : DataFrame
        paramMaps : sequence of dict of Param to value

        Returns
        -------
        iterator of (int, Model)
            Thread-safe: positions of param maps, and their models. Where a model cannot be fitted, ``next`` raises why,
            and goes on with the one after it.
        """
        return ModelIterator(dataset, [self.copy(extra) for extra in paramMaps])

    def regParamPath(self, nLambda: int = 100, ratio: float = 1e-3) -> RegParamPath[ModelT]:
        """An estimator that fits this one with ``nLambda`` values of ``regParam``.

        They fall from the least that leaves every penalised coefficient zero to ``ratio`` times it. The ``path`` of the
        model that its ``fit`` returns has all models; see `sparkgd.ml.path.RegParamPath` for which one that is.

        Raises
        ------
        IncompatibleError
            If this estimator has no ``regParam``, or has a starting point.
        InvalidParamError
            If ``nLambda`` is less than 2, or ``ratio`` not between 0 and 1.
        """
        return RegParamPath(self, nLambda, ratio)

    def findStepSize(self, dataset: DataFrame) -> StepSizeTest:
        """Try step sizes of the named solver, all of them in two rounds, and suggest one for ``stepSize``.

        A learning rate range test (Smith, 2017): what does one iteration make of the objective?

        Parameters
        ----------
        dataset : DataFrame

        Returns
        -------
        StepSizeTest
            With ``suggestion``, the step sizes, their objectives, and ``plot()``.

        Raises
        ------
        IncompatibleError
            If the solver takes no step size.
        """
        return step_size_test(dataset, self)

    def _check(self) -> None:
        """Refuse what can be refused before any row is read."""
        self.checkParams()
        self._check_combination()

    def _fit_of(self, data: TrainingData, lead: Lead | None = None) -> ModelFit[ModelT]:
        """The fit of packed rows.

        Raises
        ------
        InvalidDataError
            If the labels are not those that the loss is for.
        """
        loss = self._loss(self._num_classes(data))
        check_label(data.label, data.columns, loss.name, self._label_range(loss))
        return ModelFit(self, data, replace(self._settings(loss, data), lead=lead))

    def _fitted(self, weights: Array, intercepts: Array, loss: Loss, summary: TrainingSummary) -> ModelT:
        """The model with its summary and this estimator's params."""
        model = self._create_model(weights, intercepts, loss)
        model._resetUid(self.uid)
        model._summary = summary  # type: ignore[attr-defined]
        return self._copyValues(model)

    def _check_combination(self) -> None:
        """Refuse what params, loss, penalty and solver decide among themselves, before any row is read.

        Raises
        ------
        IncompatibleError
            If the named solver does not take the loss, the penalty or its settings.
        InvalidParamError
            If the starting point is not finite.
        """
        loss, settings = self._loss(2), self._solver_settings()
        penalty = OnWeights(self._penalty_kind(), 1, intercept_penalty_kind(self))
        check_settings(settings)
        if settings.name != "auto":
            check_solver(settings.name, loss, penalty)
        for name in ("initialCoefficients", "initialIntercept"):
            check_finite(name, value_or_none(self, name))

    def _stages(self, settings: FitSettings, rows: TrainingSet) -> Stages[Fitted]:
        """What it takes to minimise the objective."""
        return fit_stages(settings, rows)

    def _penalty_kind(self) -> Penalty:
        """A penalty of the kind that the params ask for, before the columns are known."""
        return penalty_kind(self)

    def _packing(self) -> Packing:
        settings = self._solver_settings()
        is_cold = value_or_none(self, "initialCoefficients") is None and value_or_none(self, "initialIntercept") is None
        return Packing(
            dtype=self.getOrDefault("dtype"),
            access=self.getOrDefault("blockAccess"),
            execution=self.getOrDefault("execution"),
            depth=self.getOrDefault("aggregationDepth"),
            balance=self.getOrDefault("balance"),
            by_label=value_or_none(self, "classWeight") is not None,
            wants_sample=settings.name == "auto" and is_cold,
            moments_suffice=self._moments_suffice(),
        )

    def _moments_suffice(self) -> bool:
        """Whether first and second moments are all that the fit needs to know of the rows."""
        return self._solver_settings().name == "auto" and self._loss(2).is_quadratic

    def _columns(self) -> InputColumns:
        return input_columns(self)

    def _settings(self, loss: Loss, data: TrainingData) -> FitSettings:
        """The params in NumPy's spelling: the one place of translation."""
        return FitSettings(
            loss=loss,
            penalty=self._penalty,
            intercept_penalty=intercept_penalty(self, loss.num_outputs),
            fit_intercept=self.getOrDefault("fitIntercept"),
            standardize=value_or_none(self, "standardization") or False,
            solver=self._solver_settings(),
            stopping=Stopping(
                max_iterations=self.getOrDefault("maxIter"),
                tol=self.getOrDefault("tol"),
                patience=value_or_none(self, "earlyStoppingRounds") or 0,
            ),
            start=self._starting_point(data, loss),
            held_out=data.held_out,
            chooses_by_held_out=data.columns.validation is not None,
            name=type(self).__name__,
            max_seconds=value_or_none(self, "maxSeconds") or np.inf,
        )

    def _solver_settings(self) -> SolverSettings:
        return SolverSettings(
            name=self.getOrDefault("solver"),
            step_size=value_or_none(self, "stepSize"),
            schedule=self.getOrDefault("schedule"),
            momentum=self.getOrDefault("momentum"),
            updater=self.getOrDefault("updater"),
            averaging=self.getOrDefault("averaging"),
            batch_size=value_or_none(self, "batchSize"),
            fraction=self.getOrDefault("miniBatchFraction"),
            local_epochs=self.getOrDefault("localEpochs"),
            seed=self.getOrDefault("seed"),
        )

    def _starting_point(self, data: TrainingData, loss: Loss) -> tuple[Array, Array | None] | None:
        """The user's warm start; a part that is not given starts as it would have without one."""
        rows, intercepts = value_or_none(self, "initialCoefficients"), value_or_none(self, "initialIntercept")
        if rows is None and intercepts is None:
            return None
        outputs = loss.num_outputs - loss.num_scalars
        shape = (outputs, len(data.rows.statistics.mean))
        if intercepts is not None and len(intercepts) != outputs:
            raise InvalidParamError(f"initialIntercept has {len(intercepts)} values, but the data need {outputs}")
        weights = np.zeros(shape) if rows is None else np.asarray(rows)
        return weights, None if intercepts is None else np.asarray(intercepts)
