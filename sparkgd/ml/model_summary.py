"""Summaries that know their model: how the fit went, how well the model does on its rows, what its table says."""

from __future__ import annotations

import html
from functools import cached_property
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame

from sparkgd.exceptions import IncompatibleError, NoTrainingRowsError, SparkGDError
from sparkgd.kernels.likelihood import Likelihood
from sparkgd.ml.coefficient_errors import Inference, recalled
from sparkgd.ml.evaluation import Evaluation
from sparkgd.ml.exchange import MLlibTwin
from sparkgd.ml.inference import Estimates, Fit, infer, infer_from_memory, refuse_infinite, refuse_penalised
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.scoring import quoted
from sparkgd.ml.summary import TrainingSummary

FORMATS = {"estimate": "{:.6g}", "std error": "{:.4g}", "z": "{:.3f}", "t": "{:.3f}"}
"""How columns of a coefficient table are printed; others have three significant digits."""


class ModelSummary(TrainingSummary, Evaluation):
    """A training summary with the metrics of the model on the rows that it was fitted to.

    Parameters
    ----------
    training : TrainingSummary
        How the fit went.
    model : MLlibTwin
    dataset : DataFrame or None
        What the model was fitted to, validation rows included; None if it was loaded.
    estimator : LinearEstimator
        With the params of the fit.
    """

    def __init__(self, training: TrainingSummary, model: MLlibTwin, dataset: DataFrame | None, estimator: Any) -> None:
        vars(self).update(vars(training))
        validation = value_or_none(model, "validationIndicatorCol")
        rows = dataset.where(~quoted(validation)) if dataset is not None and validation else dataset
        Evaluation.__init__(self, model, rows)
        self._estimator, self._all_rows = estimator, dataset

    def _found(self) -> dict[str, Any]:
        return {"metrics": self._known}

    def _recall(self, found: dict[str, Any]) -> None:
        self._known = dict(found["metrics"])

    def _ask_all(self) -> None:
        """Nothing where the rows are gone."""
        if self._dataset is not None:
            self._ask_metrics()

    def _repr_html_(self) -> str:
        """For notebooks."""
        return f"<pre>{html.escape(str(self))}</pre>"


class InferenceSummary(ModelSummary):
    """The summary of a model of maximum likelihood: standard errors, tests and p-values, where there is no penalty.

    They are asked of the rows in one round when first asked for (in two if robust or clustered), for which these are
    read again.
    """

    def _found(self) -> dict[str, Any]:
        return {**super()._found(), "inferences": [[*key, found.told()] for key, found in self._inferences.items()]}

    def _recall(self, found: dict[str, Any]) -> None:
        super()._recall(found)
        self._inferences.update({(kind, cluster): recalled(told) for kind, cluster, told in found["inferences"]})

    def _ask_all(self) -> None:
        super()._ask_all()
        self._table_or_none()

    def inference(self, covariance: str = "classic", clusterCol: str | None = None) -> Inference:
        """Standard errors and what follows from them.

        Parameters
        ----------
        covariance : str
            ``classic``: by the information of the model. ``HC0`` to ``HC3``: a sandwich, which holds where the variance
            is not what the model says (MacKinnon and White, 1985: Some heteroskedasticity-consistent covariance matrix
            estimators); of a multinomial model HC0 and HC1. ``cluster``: a sandwich of the scores summed by cluster,
            which holds where rows of a cluster depend on each other (Liang and Zeger, 1986: Longitudinal data analysis
            using generalized linear models).
        clusterCol : str, optional
            For ``cluster``: the column that says to which cluster a row belongs, of any type by which Spark groups.

        Returns
        -------
        Inference

        Raises
        ------
        IncompatibleError
            If the fit has a penalty or bounds, or its columns depend on each other; of a model that ``partialFit`` has
            trained batch after batch, for all but classic errors of a binomial or Poisson model.
        InvalidDataError
            If the clusters of rows are null, or there is only one.
        NoTrainingRowsError
            If the model was loaded, and these errors had not been asked for before it was saved.

        Notes
        -----
        Of n rows in G clusters and k coefficients, with the information I and the sum s_g of a cluster's scores, the
        covariance is ``G/(G-1) * (n-1)/(n-k) * I^-1 (sum_g s_g s_g^T) I^-1``. The small-sample correction is that of
        statsmodels and Stata (Cameron and Miller, 2015: A practitioner's guide to cluster-robust inference, section
        II.C). Where dispersion is estimated, statistics have the t distribution with G - 1 degrees of freedom.
        """
        found = self._inferences.get((covariance, clusterCol))
        if found is None:
            self._refuse_inference()
            model, memory = self._model, self._model._memory
            estimates = Estimates(self._likelihood(), model._weights, model._intercepts, model.featureNames)
            if memory is not None and memory.batches > 1:
                found = infer_from_memory(estimates, memory, covariance)
            else:
                self._rows()
                assert self._all_rows is not None
                found = infer(Fit(estimates, self._estimator, self._all_rows), covariance, clusterCol)
            self._inferences[covariance, clusterCol] = found
        return found

    @cached_property
    def _inferences(self) -> dict[tuple[str, str | None], Inference]:
        return {}

    def _likelihood(self) -> Likelihood:
        """Of the labels."""
        raise NotImplementedError

    def _refuse_inference(self) -> None:
        """Refuse fits that have no standard errors."""
        refuse_penalised(self._estimator)
        refuse_infinite(self._model._intercepts)

    @property
    def coefficientStandardErrors(self) -> list[float]:
        """Standard errors of the coefficients, that of the intercept last."""
        return [float(value) for value in self.inference().standardErrors]

    @property
    def tValues(self) -> list[float]:
        """Coefficients by standard errors, that of the intercept last."""
        return [float(value) for value in self.inference().statistics]

    @property
    def pValues(self) -> list[float]:
        """Two-sided p-values, that of the intercept last."""
        return [float(value) for value in self.inference().pValues]

    @property
    def coefficientTable(self) -> pd.DataFrame:
        """Estimates, standard errors, statistics, p-values and 95% intervals by name."""
        return self.inference().table()

    def _table_or_none(self) -> pd.DataFrame | None:
        """See `TrainingSummary`."""
        try:
            return self.coefficientTable
        except (IncompatibleError, NoTrainingRowsError):
            return None

    def __str__(self) -> str:
        """The fit in a few lines and, without a penalty, the table of coefficients, for which rows are read again."""
        try:
            found = self.inference()
        except SparkGDError as reason:
            return f"{self!r}\n\nno coefficient table: {reason}"
        table = found.table()
        formats = {name: FORMATS.get(name, "{:.3g}").format for name in table.columns}
        note = f"{found.covariance} standard errors, {found.degreesOfFreedom} residual degrees of freedom"
        note += "" if found.isNormal else f", dispersion {found.dispersion:.6g}"
        table.index.names = [None] * table.index.nlevels
        return f"{self!r}\n\n{table.to_string(formatters=formats)}\n\n{note}"
