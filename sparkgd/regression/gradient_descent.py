"""A linear regressor with any loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import Vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.kernels.predictions import MeanPrediction, Prediction, RawPrediction
from sparkgd.losses import Loss
from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.model import LinearModel
from sparkgd.ml.params.loss import HasLoss, LossSettingsParams, loss_of
from sparkgd.ml.params.penalty import AnyPenaltyParams
from sparkgd.ml.params.shared import TrainingParams, with_accessors, with_model_accessors
from sparkgd.ml.params.signatures import (
    BoundsAccessors,
    BoundsSettings,
    ElasticNetAccessors,
    ElasticNetSettings,
    Getter,
    GroupsAccessors,
    GroupsSettings,
    Setter,
    TrainingAccessors,
    TrainingSettings,
)
from sparkgd.ml.scoring import inverse_link

if TYPE_CHECKING:
    from typing_extensions import Unpack

Array = npt.NDArray[np.float64]


class _RegressorParams(HasLoss, TrainingParams, LossSettingsParams, AnyPenaltyParams):
    """Params shared by the estimator and its model."""

    def _set_own_defaults(self) -> None:
        self._set_penalty_defaults()
        self._set_loss_setting_defaults()
        self._setDefault(loss="squared")

    def _chosen_loss(self, checked: bool = False) -> Loss:
        return loss_of(self, self._loss_settings(), for_classes=False, checked=checked)


@with_model_accessors
class GradientDescentRegressorModel(_RegressorParams, LinearModel):
    """A fitted linear regressor.

    ``prediction`` is the inverse link of ``x . coefficients + intercept + offset``.
    """

    def predict(self, value: Vector) -> float:
        """Prediction of one row, without its offset."""
        return float(self._chosen_loss().inverse_link(np.array([self._margin(value)]))[0])

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        output = self.getOrDefault("predictionCol")
        scored = self._with_margin(df, vector, output)
        return scored.withColumn(output, inverse_link(self._chosen_loss(), F.col(output)))


class GradientDescentRegressorSettings(
    TrainingSettings, ElasticNetSettings, BoundsSettings, GroupsSettings, total=False
):
    """Params of `GradientDescentRegressor`."""

    loss: object
    epsilon: float
    quantile: float
    variancePower: float
    alpha: float


class GradientDescentRegressorAccessors(TrainingAccessors, ElasticNetAccessors, BoundsAccessors, GroupsAccessors):
    """Setters and getters of `GradientDescentRegressor`."""

    setLoss: Setter[object]
    setEpsilon: Setter[float]
    setQuantile: Setter[float]
    setVariancePower: Setter[float]
    setAlpha: Setter[float]
    getLoss: Getter[object]
    getEpsilon: Getter[float]
    getQuantile: Getter[float]
    getVariancePower: Getter[float]
    getAlpha: Getter[float]


@with_accessors
class GradientDescentRegressor(
    _RegressorParams, LinearEstimator[GradientDescentRegressorModel], GradientDescentRegressorAccessors
):
    """A linear regressor that minimises any loss of numeric labels.

    Minimises ::

        (1/W) sum_i w_i loss(y_i, m_i) + regParam [(1 - a)/2 sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with a = ``elasticNetParam`` and s_j the weighted unbiased standard deviation of column j if ``standardization`` is
    true, else 1; within bounds where there are any. The intercept is not penalised.

    Parameters
    ----------
    **params
        ``loss`` is ``squared``, ``huber``, ``quantile``, ``epsilonInsensitive``, ``poisson``, ``gamma``, ``tweedie``,
        ``inverseGaussian``, ``negativeBinomial`` (these five with a log link), or a loss of your own;
        ``explainParams()`` lists all.

    Examples
    --------
    >>> model = GradientDescentRegressor(loss="quantile", quantile=0.9).fit(df)  # doctest: +SKIP
    """

    def __init__(self, **params: Unpack[GradientDescentRegressorSettings]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[GradientDescentRegressorSettings]) -> GradientDescentRegressor:  # type: ignore[override]
        """Set params by name; returns the object itself."""
        super().setParams(**params)
        return self

    def checkParams(self) -> None:
        """Check the value of every param, and that the loss can be made.

        Raises
        ------
        InvalidParamError
            If a value is not allowed.
        ModelFormatError
            If a loss of the user's own cannot be imported.
        """
        super().checkParams()
        loss = self._chosen_loss(checked=True)
        if loss.num_outputs != 1:
            raise InvalidParamError(f"the {loss.name} loss has {loss.num_outputs} outputs; a regressor takes one")

    def _loss(self, classes: int) -> Loss:
        return self._chosen_loss()

    def _prediction(self, outputs: int) -> Prediction:
        loss = self._chosen_loss()
        is_raw = type(loss).inverse_link is Loss.inverse_link
        return RawPrediction() if is_raw else MeanPrediction(loss.inverse_link)

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> GradientDescentRegressorModel:
        return GradientDescentRegressorModel(weights, intercepts)
