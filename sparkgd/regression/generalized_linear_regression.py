"""Generalized linear regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import Vector
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasRegParam
from pyspark.ml.regression import GeneralizedLinearRegressionModel as MLlibModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.data.statistics import Statistics
from sparkgd.kernels.predictions import MeanPrediction, Prediction, RawPrediction
from sparkgd.losses import Loss
from sparkgd.losses.generalized import generalized_loss
from sparkgd.ml.columns import temporary_name, with_columns
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.exchange import MLlibTwin
from sparkgd.ml.params.penalty import label_unit
from sparkgd.ml.params.rules import Rule, one_of, one_of_in_any_case
from sparkgd.ml.params.shared import TrainingParams, param, value_or_none, with_accessors, with_model_accessors
from sparkgd.ml.params.signatures import Getter, Setter, TrainingAccessors, TrainingSettings
from sparkgd.ml.scoring import configured, java_object, mllib_model
from sparkgd.ml.summary import TrainingSummary
from sparkgd.penalties import ElasticNet, Penalty
from sparkgd.questions import WorkingWeightQuestion
from sparkgd.regression.glm_family import (
    NAMED_LINKS,
    FamilyAndLink,
    family_and_link,
    link_name,
    mean_column,
    mean_in_sql,
)
from sparkgd.regression.summaries import (
    GeneralizedLinearRegressionSummary,
    GeneralizedLinearRegressionTrainingSummary,
)
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import SOLVERS
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.fit import Fitted, fit_stages
from sparkgd.training.outline import TrainingSet
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.settings import FitSettings
from sparkgd.training.stage import Inquiry

if TYPE_CHECKING:
    from typing_extensions import Unpack

Array = npt.NDArray[np.float64]

MAX_STAGES = 50
"""Fits until the penalty's factor stands still; it takes five or so."""

OBJECTIVE_TOL = 1e-3
"""Tolerance of the objective for a tolerance of 1 of the coefs."""

STILL = 1e-10
"""Relative change of the penalty's factor at which it stands still."""


CAVEAT = (
    "the fit ended before the penalty's factor, the mean working weight of a row, stood still: the model has the L2 "
    "weight {:.6g}, its own working weights ask for {:.6g}. Allow more iterations or seconds"
)

SCORING_PARAMS = ("family", "link", "variancePower", "linkPower", "linkPredictionCol", "predictionCol", "offsetCol")
"""Params that MLlib's model scores by."""


class _GeneralizedParams(TrainingParams, HasRegParam):
    """Params shared by the estimator and its model."""

    family = param("family", "distribution: gaussian, binomial, poisson, gamma or tweedie", TypeConverters.toString)
    link = param("link", "link function; default: the canonical one of the family", TypeConverters.toString)
    variancePower = param(
        "variancePower",
        "power of the mean that is the variance, of tweedie (0, or 1 and above)",
        TypeConverters.toFloat,
    )
    linkPower = param(
        "linkPower", "power of the mean that is the raw prediction, of tweedie; default: 1 - variancePower",
        TypeConverters.toFloat,
    )  # fmt: skip
    linkPredictionCol = param(
        "linkPredictionCol", "column for the raw prediction; default: none", TypeConverters.toString
    )

    def _set_own_defaults(self) -> None:
        self._setDefault(family="gaussian", variancePower=0.0, regParam=0.0, maxIter=25, solver="irls")


@with_model_accessors
class GeneralizedLinearRegressionModel(_GeneralizedParams, MLlibTwin):
    """A fitted generalized linear regression.

    ``transform`` adds ``prediction``, the mean ``g^-1(x . coefficients + intercept + offset)`` for the link g, and the
    raw prediction itself where ``linkPredictionCol`` is set.
    """

    _mllib_solvers = ("irls",)

    def _description(self) -> dict[str, Any]:
        family, link = self.getOrDefault("family"), link_name(self)
        return {"uid": self.uid, "family": family, "link": link, "numFeatures": self.numFeatures}

    def predict(self, value: Vector) -> float:
        """Prediction of one row, without its offset."""
        return float(family_and_link(self).link.inverse(np.array([self._margin(value)]))[0])

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        mllib = self._mllib_model()
        if mllib is None:
            margin = temporary_name("margin")
            mean = mean_column(family_and_link(self).link, margin)
            outputs = {
                value_or_none(self, "linkPredictionCol"): F.col(margin),
                self.getOrDefault("predictionCol"): mean,
            }
            named = {name: column for name, column in outputs.items() if name}
            return with_columns(self._with_margin(df, vector, margin), named).drop(margin)
        scored: DataFrame = configured(mllib, self, vector, SCORING_PARAMS).transform(df)
        return scored

    def evaluate(self, dataset: DataFrame) -> GeneralizedLinearRegressionSummary:
        """How well the model does on a DataFrame with labels; metrics are computed when they are asked for."""
        return GeneralizedLinearRegressionSummary(self, dataset)

    def _remember(self, dataset: DataFrame, estimator: Any) -> None:
        super()._remember(dataset, estimator)
        self._summary = self._summary_of(self._summary, dataset, estimator)

    def _summary_of(self, training: TrainingSummary, dataset: DataFrame | None, estimator: Any) -> TrainingSummary:
        return GeneralizedLinearRegressionTrainingSummary(training, self, dataset, estimator)

    def _sql(self, margins: Sequence[str]) -> dict[str, str]:
        return {"prediction": mean_in_sql(family_and_link(self).link, margins[0]), "margin": margins[0]}

    def _mllib_model(self) -> MLlibModel | None:
        model = mllib_model(MLlibModel, self.uid, self.coefficients, self.intercept)
        if model is not None:
            # Where there is an offset, MLlib's summary fits the model without features by its parent, of the same uid.
            java: Any = model._java_obj
            java.setParent(java_object("regression.GeneralizedLinearRegression", self.uid))
        return model


class GeneralizedLinearRegressionSettings(TrainingSettings, total=False):
    """Params of `GeneralizedLinearRegression`."""

    regParam: float
    family: str
    link: str
    variancePower: float
    linkPower: float
    linkPredictionCol: str


class GeneralizedLinearRegressionAccessors(TrainingAccessors):
    """Setters and getters of `GeneralizedLinearRegression`."""

    setRegParam: Setter[float]
    setFamily: Setter[str]
    setLink: Setter[str]
    setVariancePower: Setter[float]
    setLinkPower: Setter[float]
    setLinkPredictionCol: Setter[str]
    getFamily: Getter[str]
    getLink: Getter[str]
    getVariancePower: Getter[float]
    getLinkPower: Getter[float]
    getLinkPredictionCol: Getter[str]


@with_accessors
class GeneralizedLinearRegression(
    _GeneralizedParams, LinearEstimator[GeneralizedLinearRegressionModel], GeneralizedLinearRegressionAccessors
):
    """Generalized linear regression: a family of distributions whose mean is a function of a linear prediction.

    Minimises half the mean unit deviance plus an L2 penalty, which is MLlib's: at the optimum ::

        sum_i w_i (y_i - mu_i) / (V(mu_i) g'(mu_i)) x_ij = regParam * Omega * b_j

    with Omega the sum of the working weights ``w_i / (V(mu_i) g'(mu_i)^2)`` at the optimum itself; the gaussian family
    with the identity link has ``regParam / (2 sd_y) sum_j sd_j^2 b_j^2`` instead, with population deviations, sd_y that
    of the label less the offset.
    McCullagh and Nelder, "Generalized linear models" (1989).

    Parameters
    ----------
    **params
        Params of the same names and defaults as ``pyspark.ml.regression.GeneralizedLinearRegression``, and sparkgd's
        own; ``explainParams()`` lists them. ``solver="irls"`` means ``auto``; there is no limit of 4096 features.

    Examples
    --------
    >>> model = GeneralizedLinearRegression(family="poisson").fit(df)  # doctest: +SKIP
    """

    def __init__(self, **params: Unpack[GeneralizedLinearRegressionSettings]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[GeneralizedLinearRegressionSettings]) -> GeneralizedLinearRegression:  # type: ignore[override]
        """Set params by name; returns the object itself."""
        super().setParams(**params)
        return self

    def _rules(self) -> dict[str, Rule]:
        return {"solver": one_of("irls", "auto", *SOLVERS), "family": one_of_in_any_case(*NAMED_LINKS, "tweedie")}

    def checkParams(self) -> None:
        """Check the value of every param, and that family and link fit together.

        Raises
        ------
        InvalidParamError
            If a value is not allowed.
        """
        super().checkParams()
        family_and_link(self)

    def _loss(self, classes: int) -> Loss:
        chosen = family_and_link(self)
        return generalized_loss(chosen.family, chosen.link)

    def _penalty(self, statistics: Statistics, outputs: int) -> Penalty:
        """Of least squares; for other families `_stages` finds the factor."""
        strength = self.getOrDefault("regParam")
        if not family_and_link(self).is_least_squares:
            return _ridge(strength)(statistics, outputs)
        strength /= label_unit(self, statistics, 0, strength)
        deviations = statistics.deviation(ddof=0)
        return ElasticNet(np.zeros_like(deviations), strength * deviations**2)

    def _solver_settings(self) -> SolverSettings:
        settings = super()._solver_settings()
        return replace(settings, name="auto") if settings.name == "irls" else settings

    def _penalty_kind(self) -> Penalty:
        return ElasticNet(np.zeros(1), np.full(1, self.getOrDefault("regParam")))

    def _stages(self, settings: FitSettings, rows: TrainingSet) -> Stages[Fitted]:
        """Fit; with a penalty that depends on the working weights, fit again until their sum stands still."""
        chosen = family_and_link(self)
        if chosen.is_least_squares:
            return (yield from fit_stages(settings, rows))
        strength, factor = self.getOrDefault("regParam"), 1.0
        # In MLlib tol is about coefs, of which users take tests and intervals; the objective must be closer.
        settings = replace(settings, stopping=replace(settings.stopping, tol=OBJECTIVE_TOL * settings.stopping.tol))
        for _ in range(MAX_STAGES):
            fitted = yield from fit_stages(replace(settings, penalty=_ridge(strength * factor)), rows)
            if strength == 0.0 or fitted.solved.status is Status.DIVERGED:
                break
            last, factor = factor, (yield self._working_weight(fitted, chosen, rows))
            if abs(factor - last) <= STILL * factor:
                break
            if fitted.solved.is_halted or fitted.solved.status is Status.MAX_ITERATIONS:
                return replace(fitted, caveat=CAVEAT.format(strength * last, strength * factor))
            settings = _continued(settings, fitted)
        return fitted

    def _forgets(self) -> str:
        if self.getOrDefault("regParam") == 0.0 or family_and_link(self).is_least_squares:
            return ""
        return "regParam multiplies the working weights of all rows at the optimum, which rows of before do not tell"

    def _working_weight(self, fitted: Fitted, chosen: FamilyAndLink, rows: TrainingSet) -> Inquiry:
        """Mean working weight of a row at the end of a fit."""
        question = WorkingWeightQuestion(chosen.information, fitted.solved.coef)
        return Inquiry("working weights", Asked(fitted.problem, question, rows.rows))

    def _prediction(self, outputs: int) -> Prediction:
        chosen = family_and_link(self)
        return RawPrediction() if chosen.is_least_squares else MeanPrediction(chosen.link.inverse, *chosen.mean_range)

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> GeneralizedLinearRegressionModel:
        return GeneralizedLinearRegressionModel(weights, intercepts)


def _ridge(strength: float) -> Callable[[Statistics, int], Penalty]:
    """Penalty ``strength / 2 * sum_j b_j^2`` of raw columns."""

    def penalty(statistics: Statistics, outputs: int) -> Penalty:
        zeros = np.zeros_like(statistics.mean)
        return ElasticNet(zeros, np.full_like(zeros, strength))

    return penalty


def _continued(settings: FitSettings, fitted: Fitted) -> FitSettings:
    """The fit that starts where another one ended, with what is left of its iterations."""
    layout, solved = fitted.problem.layout, fitted.solved
    left = max(settings.stopping.max_iterations - max(solved.iteration, 0), 1)
    start = layout.weights(solved.coef), layout.intercepts(solved.coef)
    return replace(settings, start=start, stopping=replace(settings.stopping, max_iterations=left))
