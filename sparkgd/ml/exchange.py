"""Fitted models out to ``pyspark.ml`` and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import pandas as pd
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.ml.wrapper import JavaModel

from sparkgd.ml import sql
from sparkgd.ml.errors import IncompatibleError, InvalidParamError
from sparkgd.ml.model import LinearModel
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.scoring import told

TwinT = TypeVar("TwinT", bound="MLlibTwin")


def _matrix(rows: list[list[float]]) -> DenseMatrix:
    return DenseMatrix(len(rows), len(rows[0]), np.ravel(rows), isTransposed=True)


CONVERT: dict[str, Callable[[Any], Any]] = {
    "lowerBoundsOnCoefficients": _matrix,
    "upperBoundsOnCoefficients": _matrix,
    "lowerBoundsOnIntercepts": Vectors.dense,
    "upperBoundsOnIntercepts": Vectors.dense,
}
"""From values of our params to those of MLlib's params of the same name, where these differ."""


class MLlibTwin(LinearModel):
    """A model that ``pyspark.ml`` has too.

    Attributes
    ----------
    _mllib_solvers : tuple of str
        What MLlib's param ``solver`` can be; a solver that only sparkgd has is not told.
    """

    _mllib_solvers: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def _mllib_model(self) -> JavaModel | None:
        """The ``pyspark.ml`` model of the same coefficients and uid, without params; None where Spark makes none."""

    @property
    def coefficientTable(self) -> pd.DataFrame:
        """See `LinearModel`."""
        known = None if self._summary is None else self._summary._table_or_none()
        return super().coefficientTable if known is None else known

    def toMLlib(self) -> JavaModel:
        """The genuine ``pyspark.ml`` model: its coefficients, uid and every param that both have; it has no summary.

        Returns
        -------
        pyspark.ml.Model
            Of the class of the same name in ``pyspark.ml``.

        Raises
        ------
        IncompatibleError
            If the model reads several columns of features, or an offset that MLlib's model does not add; or if Spark
            is reached by Spark Connect, which makes no other models of coefficients than logistic regressions.
        """
        if value_or_none(self, "featuresCols"):
            raise IncompatibleError(
                f"featuresCols={self.getOrDefault('featuresCols')!r}: the model of pyspark.ml reads one vector column; "
                "sparkgd.mllib.to_mllib(model) gives a PipelineModel of a VectorAssembler and that model"
            )
        if self.getOrDefault("handleInvalid") != "error":
            raise IncompatibleError(
                f"handleInvalid={self.getOrDefault('handleInvalid')!r}: the model of pyspark.ml has none; "
                "sparkgd.mllib.to_mllib(model) gives a PipelineModel of a VectorAssembler, which has it, and that model"
            )
        return self._mllib_twin()

    def _mllib_twin(self) -> JavaModel:
        """The same whatever columns hold the features: MLlib's model reads ``featuresCol``."""
        twin = mllib_model_of(self)
        offset = value_or_none(self, "offsetCol")
        if offset and not twin.hasParam("offsetCol"):
            raise IncompatibleError(
                f"offsetCol={offset!r}: {type(twin).__name__} of pyspark.ml adds no offset; clear(model.offsetCol) "
                "first if predictions without it will do"
            )
        return twin

    def toSQL(self, output: str = "prediction", features: Sequence[str] | None = None) -> str:
        """A SQL expression that scores a row as ``transform`` does.

        Parameters
        ----------
        output : str
            ``prediction``; ``margin``, the raw prediction (an array of them if multinomial); for a logistic regression
            also ``probability``, that of class 1 (an array if multinomial).
        features : sequence of str, optional
            Names of the columns of numbers that hold the features, in the order of the coefficients; default:
            ``featuresCols``.

        Raises
        ------
        InvalidParamError
            If there is no such output, or as many names as coefficients are not known.
        """
        names = value_or_none(self, "featuresCols") if features is None else list(features)
        if names is None:
            raise InvalidParamError(
                f"featuresCol={self.getOrDefault('featuresCol')!r} is one column, of which SQL sees no elements; give "
                "features=[...], the names of the columns that it was assembled from"
            )
        if len(names) != self.numFeatures:
            raise InvalidParamError(f"features has {len(names)} names, but the model has {self.numFeatures} features")
        columns, offset = [sql.identifier(name) for name in names], value_or_none(self, "offsetCol")
        rows = zip(self._weights, self._intercepts, strict=True)
        return sql.chosen(self._sql([sql.margin(w, float(b), columns, offset) for w, b in rows]), output)

    @abstractmethod
    def _sql(self, margins: Sequence[str]) -> dict[str, str]:
        """What ``toSQL`` can give by name, from expressions of the raw predictions."""

    @classmethod
    def fromMLlib(cls: type[TwinT], model: JavaModel) -> TwinT:
        """The model of sparkgd with the coefficients, uid and params of one that ``pyspark.ml`` fitted or loaded.

        Raises
        ------
        IncompatibleError
            If it is not the ``pyspark.ml`` model of the same name.
        """
        if type(model).__name__ != cls.__name__ or not type(model).__module__.startswith("pyspark.ml."):
            raise IncompatibleError(f"{type(model).__name__} is not the {cls.__name__} of pyspark.ml")
        properties: Any = model  # of the names of the columns that models are saved in
        result: TwinT = cls._from_row(properties)
        for param in model.params:
            if result.hasParam(param.name) and model.isSet(param):
                result._set(**{param.name: model.getOrDefault(param)})
        result._resetUid(model.uid)
        return result

    def _to_java(self) -> Any:
        """The JVM object, which exporters written for ``pyspark.ml`` ask for."""
        return self.toMLlib()._to_java()


def mllib_model_of(model: MLlibTwin) -> JavaModel:
    """The genuine model with every param that is set here and known there; an offset is left out where it is not."""
    twin = model._mllib_model()
    if twin is None:
        raise IncompatibleError(
            f"Spark Connect makes no {type(model).__name__} of pyspark.ml; transform works, and what the model of "
            "pyspark.ml is wanted for, where there is a JVM"
        )
    for param in model.params:
        is_known = param.name != "solver" or model.getOrDefault(param) in model._mllib_solvers
        if twin.hasParam(param.name) and model.isSet(param) and is_known:
            twin._set(**{param.name: CONVERT.get(param.name, _same)(model.getOrDefault(param))})
    made: JavaModel = told(twin)
    return made


def _same(value: Any) -> Any:
    return value
