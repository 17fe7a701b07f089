"""What regressors tell of a DataFrame, and of the one that they were fitted to."""

from __future__ import annotations

from sparkgd.kernels.likelihood import GeneralizedLikelihood, Likelihood
from sparkgd.losses.families import Family, PowerFamily
from sparkgd.losses.links import LINKS, Link
from sparkgd.ml.errors import IncompatibleError
from sparkgd.ml.evaluation import DevianceEvaluation, RegressionEvaluation
from sparkgd.ml.model_summary import InferenceSummary
from sparkgd.regression.glm_family import family_and_link


class LinearRegressionSummary(RegressionEvaluation):
    """A linear regression on a DataFrame with labels."""


class LinearRegressionTrainingSummary(InferenceSummary, LinearRegressionSummary):
    """The same on the rows that it was fitted to, and how it was fitted; standard errors of least squares."""

    def _refuse_inference(self) -> None:
        super()._refuse_inference()
        if self._model.getOrDefault("loss") != "squaredError":
            raise IncompatibleError("loss='huber': standard errors are there for loss='squaredError'")

    def _likelihood(self) -> Likelihood:
        return GeneralizedLikelihood(PowerFamily(0.0), LINKS["identity"])


class GeneralizedLinearRegressionSummary(DevianceEvaluation):
    """A generalized linear regression on a DataFrame with labels."""

    def _family_and_link(self) -> tuple[Family, Link]:
        chosen = family_and_link(self._model)
        return chosen.family, chosen.link


class GeneralizedLinearRegressionTrainingSummary(InferenceSummary, GeneralizedLinearRegressionSummary):
    """The same on the rows that it was fitted to, and how it was fitted."""

    @property
    def numIterations(self) -> int:
        """Iterations of the solver: ``totalIterations``."""
        return self.totalIterations

    def _likelihood(self) -> Likelihood:
        return GeneralizedLikelihood(*self._family_and_link())
