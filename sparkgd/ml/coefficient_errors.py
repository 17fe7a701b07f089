"""Standard errors of coefficients, and what follows from them: statistics, p-values, intervals, tables."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from sparkgd.ml.errors import InvalidParamError

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inference:
    """What a fit says about the coefficients beyond its own sample; the intercept, where there is one, comes last.

    Attributes
    ----------
    names : list of str
    estimates, standardErrors : ndarray (k,)
        A column that is constant has no standard error: nan.
    covariance : str
        ``classic``, or the kind of sandwich.
    dispersion : float
        1 where the family has none.
    degreesOfFreedom : int
        Rows less coefficients; of clustered errors clusters less one.
    isNormal : bool
        Whether statistics are normal, as with a known dispersion, or Student's.
    """

    names: list[str]
    estimates: Array
    standardErrors: Array
    covariance: str
    dispersion: float
    degreesOfFreedom: int
    isNormal: bool

    @property
    def statistics(self) -> Array:
        """Estimates by standard errors: z or t."""
        return self.estimates / self.standardErrors

    @property
    def pValues(self) -> Array:
        """Two-sided p-values of the hypothesis that a coefficient is 0."""
        return np.asarray(2.0 * self._distribution.sf(np.abs(self.statistics)))

    def interval(self, level: float = 0.95) -> Array:
        """Confidence intervals (k, 2)."""
        width = self._distribution.ppf(0.5 + 0.5 * level) * self.standardErrors
        return np.column_stack([self.estimates - width, self.estimates + width])

    @property
    def _distribution(self) -> Any:
        return stats.norm if self.isNormal else stats.t(self.degreesOfFreedom)

    def table(self) -> pd.DataFrame:
        """A row for each coefficient: estimate, standard error, statistic, p-value and 95% interval."""
        low, high = self.interval().T
        letter = "z" if self.isNormal else "t"
        columns = {
            "estimate": self.estimates, "std error": self.standardErrors, letter: self.statistics,
            f"P>|{letter}|": self.pValues, "0.025": low, "0.975": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(self.names, name="name"))

    def told(self) -> dict[str, Any]:
        """All that it is made of, by name; see `recalled`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class MultinomialInference(Inference):
    """The same of K classes, class by class: of the first all coefficients and its intercept, then of the next.

    Only differences between classes are identified. The coefficients of a fit without a penalty are those whose mean
    over the classes is 0, as MLlib centres them, and these are their errors. With the covariance V of the differences
    ``g_k = b_k - b_0``, k = 1 ... K-1, that of ``b = C g`` is ``C V C^T``, where C is ``I - 1 1^T / K`` without its
    first column. It is the Moore-Penrose inverse of the singular information of all K (Rao and Mitra, 1971: Generalized
    inverse of matrices and its applications). `contrasts` has the errors of differences from one class, which software
    prints that leaves a class out (statsmodels' MNLogit, R's multinom).

    Attributes
    ----------
    classCovariances : ndarray (q, K, K)
        Covariances over the classes of each coefficient.
    base : int or None
        The class whose coefficients have been subtracted from those of the others.
    """

    classCovariances: Array
    base: int | None = None

    @property
    def numClasses(self) -> int:
        """Number of classes K, that of the base included."""
        return int(self.classCovariances.shape[1])

    def contrasts(self, base: int = 0) -> MultinomialInference:
        """Coefficients of the other classes less those of class ``base``, whatever they were less before.

        Raises
        ------
        InvalidParamError
            If there is no such class.
        """
        if base not in range(self.numClasses):
            raise InvalidParamError(f"base={base!r} is not allowed; give one of the classes 0 to {self.numClasses - 1}")
        others = [k for k in range(self.numClasses) if k != base]
        difference = np.delete(np.eye(self.numClasses), base, axis=0)
        difference[:, base] = -1.0
        variances = np.einsum("ck,qkl,cl->cq", difference, self.classCovariances, difference)
        estimates = np.zeros((self.numClasses, variances.shape[1]))
        estimates[self._classes] = self.estimates.reshape(len(self._classes), -1)
        return replace(
            self,
            names=self.names[: variances.shape[1]] * len(others),
            estimates=(estimates[others] - estimates[base]).ravel(),
            standardErrors=np.sqrt(variances).ravel(),
            base=base,
        )

    def table(self) -> pd.DataFrame:
        """A row for each class and coefficient: estimate, standard error, statistic, p-value and 95% interval."""
        found = super().table()
        classes = np.repeat(self._classes, len(found) // len(self._classes))
        found.index = pd.MultiIndex.from_arrays([classes, self.names], names=["class", "name"])
        return found

    @property
    def _classes(self) -> list[int]:
        """Those that have estimates."""
        return [k for k in range(self.numClasses) if k != self.base]


def recalled(told: dict[str, Any]) -> Inference:
    """The inference that told this."""
    kind = MultinomialInference if "classCovariances" in told else Inference
    return kind(**{field.name: told[field.name] for field in fields(kind)})
