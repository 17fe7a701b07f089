"""The models along a path of penalties, from the strongest to the weakest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FittedPath:
    """Models of the same rows, one for each strength of the penalty.

    Attributes
    ----------
    models : list of Model
        From the strongest penalty to the weakest, each with its own summary.
    chosen : int
        Position of the one that ``fit`` returned.
    scale : ndarray (p,)
        Deviations of the columns where the penalty is of standardised ones, else 1.
    """

    models: Sequence[Any] = field(repr=False)
    chosen: int
    scale: Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.models)

    @property
    def regParams(self) -> Array:
        """Strengths of the penalty (n,), falling."""
        return np.array([model.getOrDefault("regParam") for model in self.models])

    @property
    def coefficients(self) -> Array:
        """Coefficients of shape (n, K, p): for each model, output and feature."""
        return np.stack([model._weights for model in self.models])

    @property
    def intercepts(self) -> Array:
        """Intercepts of shape (n, K)."""
        return np.stack([model._intercepts for model in self.models])

    @property
    def numNonzeros(self) -> npt.NDArray[np.intp]:
        """How many coefficients of each model are not exactly zero (n,)."""
        return np.asarray(np.count_nonzero(self.coefficients, axis=(1, 2)))

    @property
    def objectives(self) -> Array:
        """Objectives (n,), penalty included."""
        return np.array([model.summary.objective for model in self.models])

    @property
    def validationLosses(self) -> Array:
        """Mean loss of the validation rows (n,); nan without validation."""
        return np.array([validation_loss(model) for model in self.models])

    @property
    def table(self) -> pd.DataFrame:
        """One row a model: regParam, numNonzeros, objective, validationLoss, status, rounds."""
        import pandas as pd

        return pd.DataFrame(
            {
                "regParam": self.regParams,
                "numNonzeros": self.numNonzeros,
                "objective": self.objectives,
                "validationLoss": self.validationLosses,
                "status": [model.summary.status for model in self.models],
                "rounds": [model.summary.totalRounds for model in self.models],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw every coefficient against the strength of the penalty, and the choice as a vertical line.

        Coefficients are those of standardised columns where the penalty is, so that lines can be compared.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'sparkgd[plot]'``.
        """
        from sparkgd.ml.display.path import plot_path

        return plot_path(self, ax)


def validation_loss(model: Any) -> float:
    """Of the best iteration, which the model is made of."""
    return min(model.summary.validationHistory, default=np.nan)


class HasPath:
    """A model that may be one of a path; a loaded model is not."""

    _path: FittedPath | None = None

    @property
    def path(self) -> FittedPath:
        """The path that the model was chosen from.

        Raises
        ------
        RuntimeError
            If it was not fitted with ``regParamPath``, or was loaded.
        """
        if self._path is None:
            raise RuntimeError(
                f"this {type(self).__name__} has no path: fit it with estimator.regParamPath(...).fit(df); "
                "a loaded model has none"
            )
        return self._path
