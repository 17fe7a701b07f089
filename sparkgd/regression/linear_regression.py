"""Linear regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import Vector
from pyspark.ml.param import TypeConverters
from pyspark.ml.regression import LinearRegressionModel as MLlibModel
from pyspark.sql import DataFrame, Row

from sparkgd.data.statistics import Statistics
from sparkgd.kernels.predictions import Prediction, RawPrediction
from sparkgd.losses import JointHuberLoss, Loss, SquaredLoss
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.exchange import MLlibTwin
from sparkgd.ml.params.penalty import ElasticNetParams, column_penalty, label_unit
from sparkgd.ml.params.rules import Rule, between, one_of
from sparkgd.ml.params.shared import TrainingParams, param, with_accessors, with_model_accessors
from sparkgd.ml.params.signatures import (
    ElasticNetAccessors,
    ElasticNetSettings,
    Getter,
    Setter,
    TrainingAccessors,
    TrainingSettings,
)
from sparkgd.ml.scoring import mllib_model
from sparkgd.ml.summary import TrainingSummary
from sparkgd.penalties import Penalty
from sparkgd.regression.summaries import LinearRegressionSummary, LinearRegressionTrainingSummary
from sparkgd.solvers.registry import SOLVERS
from sparkgd.solvers.settings import SolverSettings

if TYPE_CHECKING:
    from typing_extensions import Unpack

Array = npt.NDArray[np.float64]

NORMAL_COLUMNS = 4096
"""Columns up to which MLlib's ``auto`` means its ``normal`` solver."""


class _LinearParams(TrainingParams, ElasticNetParams):
    """Params shared by the estimator and its model."""

    loss = param("loss", "squaredError, or huber with a fitted scale", TypeConverters.toString)
    epsilon = param(
        "epsilon", "residual, in units of the scale, where huber turns linear (> 1)", TypeConverters.toFloat
    )

    def _set_own_defaults(self) -> None:
        self._set_penalty_defaults()
        self._setDefault(loss="squaredError", epsilon=1.35)


@with_model_accessors
class LinearRegressionModel(_LinearParams, MLlibTwin):
    """A fitted linear regression.

    ``transform`` adds ``prediction`` = ``x . coefficients + intercept + offset``.
    """

    _mllib_solvers = ("auto", "normal", "l-bfgs")

    def __init__(self, weights: Array | None = None, intercepts: Array | None = None, scale: float = 1.0) -> None:
        super().__init__(weights, intercepts)
        self._scale = scale

    @property
    def scale(self) -> float:
        """The scale sigma that was fitted with huber loss; 1.0 with squared loss."""
        return self._scale

    def predict(self, value: Vector) -> float:
        """Prediction of one row, without its offset."""
        return self._margin(value)

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        return self._with_margin(df, vector, self.getOrDefault("predictionCol"))

    def _mllib_model(self) -> MLlibModel | None:
        return mllib_model(MLlibModel, self.uid, self.coefficients, self.intercept, self.scale)

    def evaluate(self, dataset: DataFrame) -> LinearRegressionSummary:
        """How well the model does on a DataFrame with labels; metrics are computed when they are asked for."""
        return LinearRegressionSummary(self, dataset)

    def _remember(self, dataset: DataFrame, estimator: Any) -> None:
        super()._remember(dataset, estimator)
        self._summary = self._summary_of(self._summary, dataset, estimator)

    def _summary_of(self, training: TrainingSummary, dataset: DataFrame | None, estimator: Any) -> TrainingSummary:
        return LinearRegressionTrainingSummary(training, self, dataset, estimator)

    def _sql(self, margins: Sequence[str]) -> dict[str, str]:
        return {"prediction": margins[0], "margin": margins[0]}

    def _to_row(self) -> dict[str, Any]:
        return {**super()._to_row(), "scale": self.scale}

    @classmethod
    def _from_row(cls, row: Row) -> LinearRegressionModel:
        return cls(row.coefficients.toArray()[None, :], np.array([row.intercept]), row.scale)


class LinearRegressionSettings(TrainingSettings, ElasticNetSettings, total=False):
    """Params of `LinearRegression`."""

    loss: str
    epsilon: float


class LinearRegressionAccessors(TrainingAccessors, ElasticNetAccessors):
    """Setters and getters of `LinearRegression`."""

    setLoss: Setter[str]
    setEpsilon: Setter[float]
    getLoss: Getter[str]
    getEpsilon: Getter[float]


@with_accessors
class LinearRegression(_LinearParams, LinearEstimator[LinearRegressionModel], LinearRegressionAccessors):
    """Linear regression by least squares, or with a loss that large residuals disturb less.

    With ``loss="squaredError"`` it minimises, as MLlib does, ::

        (1/2W) sum_i w_i (y_i - m_i)^2 + regParam [(1 - a)/(2 sd_y) sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with a = ``elasticNetParam``, sd_y the standard deviation of the label and s_j that of column j if
    ``standardization`` is true, else 1. The deviations are the weighted unbiased ones, except where MLlib uses its
    ``normal`` solver (``solver`` ``normal``, or ``auto`` up to 4096 columns): there they divide by the weight sum.
    With an ``offsetCol``, which MLlib has not here, sd_y is that of the label less the offset: it is these differences
    that are fitted, as in `GeneralizedLinearRegression`.

    With ``loss="huber"`` it minimises, over a scale sigma > 0 as well, ::

        (1/2W) sum_i w_i [sigma + H((m_i - y_i) / sigma) sigma]
            + regParam [(1 - a)/2 sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with ``H(t) = t^2`` up to ``epsilon`` and ``2 epsilon |t| - epsilon^2`` beyond. Where the features explain every
    label, as more columns than rows can under a weak penalty, this has no minimum: it falls all the way to sigma = 0.
    Then ``scale`` is about 1e-12 of the labels' size, and the objective within as much of its infimum.

    Parameters
    ----------
    **params
        Params of the same names and defaults as ``pyspark.ml.regression.LinearRegression``, and sparkgd's own;
        ``explainParams()`` lists them. ``solver="normal"`` is Newton's method, exact after one step.

    Examples
    --------
    >>> LinearRegression(regParam=0.1).fit(df).coefficients  # doctest: +SKIP
    DenseVector([0.5, -1.2])
    """

    def __init__(self, **params: Unpack[LinearRegressionSettings]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[LinearRegressionSettings]) -> LinearRegression:  # type: ignore[override]
        """Set params by name; returns the object itself."""
        super().setParams(**params)
        return self

    def _rules(self) -> dict[str, Rule]:
        return {
            "solver": one_of("auto", "normal", *SOLVERS),
            "loss": one_of("squaredError", "huber"),
            "epsilon": between(1, np.inf, open_low=True),
        }

    def _loss(self, classes: int) -> Loss:
        if self.getOrDefault("loss") == "huber":
            return JointHuberLoss(self.getOrDefault("epsilon"))
        return SquaredLoss()

    def _penalty(self, statistics: Statistics, outputs: int) -> Penalty:
        if self.getOrDefault("loss") == "huber":
            return column_penalty(self, statistics, outputs)
        solver = self.getOrDefault("solver")
        normal = solver == "normal" or (solver == "auto" and len(statistics.mean) <= NORMAL_COLUMNS)
        ddof = 0 if normal else 1
        strength = self.getOrDefault("regParam") * (1.0 - self.getOrDefault("elasticNetParam"))
        return column_penalty(self, statistics, outputs, ddof, 1.0 / label_unit(self, statistics, ddof, strength))

    def _moments_suffice(self) -> bool:
        return super()._moments_suffice() or (self.getOrDefault("solver") == "normal" and self._loss(2).is_quadratic)

    def _solver_settings(self) -> SolverSettings:
        settings = super()._solver_settings()
        return replace(settings, name="newton") if settings.name == "normal" else settings

    def _prediction(self, outputs: int) -> Prediction:
        return RawPrediction()

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> LinearRegressionModel:
        scale = float(intercepts[1]) if loss.num_scalars else 1.0
        return LinearRegressionModel(weights[:1], intercepts[:1], scale)
