"""What fitted linear models share: weights and intercepts, their views, and scoring of a DataFrame."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.ml.base import Model
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseVector, Matrix, Vector
from pyspark.ml.param.shared import HasRawPredictionCol
from pyspark.ml.wrapper import JavaModel
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from sparkgd.ml.columns import feature_names, input_columns, temporary_name, with_columns
from sparkgd.ml.errors import IncompatibleError
from sparkgd.ml.fitted_path import HasPath
from sparkgd.ml.matrices import matrix_of
from sparkgd.ml.memory import HasMemory
from sparkgd.ml.params.shared import TrainingParams, value_or_none
from sparkgd.ml.persistence import ModelPersistence
from sparkgd.ml.plain_names import score_with_plain_names
from sparkgd.ml.scoring import configured, with_margin, with_vector
from sparkgd.ml.summary import HasSummary

Array = npt.NDArray[np.float64]


class LinearModel(TrainingParams, Model, ModelPersistence, HasSummary, HasPath, HasMemory):
    """A fitted linear model: raw predictions are ``x . weights[k] + intercepts[k] + offset`` for each output k.

    Parameters
    ----------
    weights : ndarray (K, p), optional
    intercepts : ndarray (K,), optional
    """

    def __init__(self, weights: Array | None = None, intercepts: Array | None = None) -> None:
        super().__init__()
        self._set_training_defaults()
        self._set_own_defaults()
        self._weights = np.zeros((1, 0)) if weights is None else weights
        self._intercepts = np.zeros(1) if intercepts is None else intercepts

    def _set_own_defaults(self) -> None:
        """Defaults of the model's params."""

    def _remember(self, dataset: DataFrame, estimator: Any) -> None:
        """What it was fitted to, and by which estimator, for whoever asks about the fit later."""
        self._feature_names = feature_names(dataset, input_columns(self).features, self.numFeatures)

    @property
    def coefficientTable(self) -> pd.DataFrame:
        """The coefficients by name, the intercept last; one column for each class if multinomial.

        Where the model was fitted in this process, by maximum likelihood and without a penalty, it is the table of
        ``summary.inference()``, with standard errors, tests and intervals, and with a row for each class and name.
        """
        names = [*self.featureNames, "(Intercept)"]
        columns = ["estimate"] if len(self._intercepts) == 1 else [f"class {k}" for k in range(len(self._intercepts))]
        values = np.column_stack([self._weights, self._intercepts]).T
        return pd.DataFrame(values, index=pd.Index(names, name="name"), columns=columns)

    @property
    def featureNames(self) -> list[str]:
        """Names of the features: of their columns, or what the vector column's metadata call them, else numbers."""
        names = self._feature_names
        return [f"{self.getOrDefault('featuresCol')}_{j}" for j in range(self.numFeatures)] if names is None else names

    def __repr__(self) -> str:
        return f"{type(self).__name__}: " + ", ".join(f"{name}={value}" for name, value in self._description().items())

    def _description(self) -> dict[str, Any]:
        """What ``repr`` says, by name."""
        return {"uid": self.uid, "numFeatures": self.numFeatures}

    @property
    def coefficients(self) -> DenseVector:
        """Coefficients of shape (numFeatures,)."""
        return DenseVector(self._weights[0])

    @property
    def intercept(self) -> float:
        """The intercept, 0.0 where none was fitted."""
        return float(self._intercepts[0])

    @property
    def numFeatures(self) -> int:
        """Number of features."""
        return int(self._weights.shape[1])

    def _margin(self, value: Vector) -> float:
        """Raw prediction of one row, without its offset."""
        return float(self._weights[0] @ value.toArray()) + self.intercept

    def _transform(self, dataset: DataFrame) -> DataFrame:
        features = value_or_none(self, "featuresCols")
        chosen = tuple(features) if features else self.getOrDefault("featuresCol")
        invalid, width = self.getOrDefault("handleInvalid"), self.numFeatures
        return score_with_plain_names(
            self, dataset, lambda model, df: with_vector(df, chosen, model._score, invalid, width)
        )

    @abstractmethod
    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        """Add the model's output columns, given the name of a vector column; all names are plain."""

    def _with_margin(self, df: DataFrame, vector: str, output: str) -> DataFrame:
        """Add the raw prediction, offset included, as column ``output``."""
        return with_margin(df, vector, self.coefficients, self.intercept, value_or_none(self, "offsetCol"), output)

    def _to_row(self) -> dict[str, Any]:
        return {"intercept": self.intercept, "coefficients": self.coefficients}

    @classmethod
    def _from_row(cls, row: Row) -> Any:
        return cls(row.coefficients.toArray()[None, :], np.array([row.intercept]))


class BinaryModel(LinearModel, HasRawPredictionCol):
    """A linear classifier for labels 0 and 1: ``rawPrediction`` is [-m, m] with m the margin."""

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return 2

    def _description(self) -> dict[str, Any]:
        return {"uid": self.uid, "numClasses": self.numClasses, "numFeatures": self.numFeatures}

    def predictRaw(self, value: Vector) -> DenseVector:
        """Raw prediction [-m, m] of one row, without its offset."""
        margin = self._margin(value)
        return DenseVector([-margin, margin])

    def _mllib_model(self) -> JavaModel | None:
        """The ``pyspark.ml`` model that scores alike when there is no offset, None where there is none."""
        return None

    @abstractmethod
    def _outputs(self, margin: Column) -> dict[str, Column]:
        """Output columns by the name of the param that names them, from the margin."""

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        mllib = self._mllib_model() if value_or_none(self, "offsetCol") is None else None
        if mllib is not None:
            return self._configured(mllib, vector).transform(df)
        margin = temporary_name("margin")
        outputs = {
            self.getOrDefault(name): column
            for name, column in self._outputs(F.col(margin)).items()
            if self.getOrDefault(name)
        }
        return with_columns(self._with_margin(df, vector, margin), outputs).drop(margin)

    def _configured(self, mllib: JavaModel, vector: str) -> JavaModel:
        """The MLlib model with this model's output columns and thresholds."""
        names = ["rawPredictionCol", "probabilityCol", "predictionCol", "thresholds"]
        # MLlib checks a threshold against thresholds when it is set, so a default is left alone.
        if self.isSet("threshold"):
            names.append("threshold")
        return configured(mllib, self, vector, names)


class ClassifierModel(BinaryModel):
    """A linear classifier with one output for two classes, or K outputs for K classes (multinomial)."""

    @property
    def _is_multinomial(self) -> bool:
        return len(self._intercepts) > 1

    @property
    def coefficients(self) -> DenseVector:
        """Coefficients of shape (numFeatures,) of a model with one output.

        Raises
        ------
        IncompatibleError
            If the model is multinomial.
        """
        self._require_one_output("coefficients", "coefficientMatrix")
        return super().coefficients

    @property
    def intercept(self) -> float:
        """The intercept of a model with one output, 0.0 where none was fitted.

        Raises
        ------
        IncompatibleError
            If the model is multinomial.
        """
        self._require_one_output("intercept", "interceptVector")
        return super().intercept

    def _require_one_output(self, name: str, instead: str) -> None:
        if self._is_multinomial:
            raise IncompatibleError(f"a multinomial model has no {name}; use {instead}, which has a row for each class")

    @property
    def coefficientMatrix(self) -> Matrix:
        """Coefficients as a matrix of shape (1, numFeatures), or (numClasses, numFeatures) if multinomial.

        It is sparse where that takes less memory, as MLlib's is.
        """
        return matrix_of(self._weights)

    @property
    def interceptVector(self) -> DenseVector:
        """Intercepts, of length 1 or numClasses."""
        return DenseVector(self._intercepts)

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return max(len(self._intercepts), 2)

    def predictRaw(self, value: Vector) -> DenseVector:
        """Raw prediction of one row, [-m, m] or the K margins, without its offset."""
        if not self._is_multinomial:
            return super().predictRaw(value)
        return DenseVector(self._weights @ value.toArray() + self._intercepts)

    def _to_row(self) -> dict[str, Any]:
        return {"interceptVector": self.interceptVector, "coefficientMatrix": self.coefficientMatrix}

    @classmethod
    def _from_row(cls, row: Row) -> Any:
        return cls(row.coefficientMatrix.toArray(), row.interceptVector.toArray())


def raw_prediction(margin: Column) -> Column:
    """The vector [-m, m]."""
    return array_to_vector(F.array(-margin, margin))
