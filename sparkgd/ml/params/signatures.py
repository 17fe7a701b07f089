"""The params as constructors and setters take them, for editors and type checkers; a test holds them to the params.

Each group of params is said twice: as a ``TypedDict``, of which a constructor takes the entries as keywords, and as a
class of accessors, which `sparkgd.ml.params.shared.with_accessors` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import Matrix, Vector

ValueT = TypeVar("ValueT")
ValueT_co = TypeVar("ValueT_co", covariant=True)
OwnerT = TypeVar("OwnerT")

Rows: TypeAlias = Matrix | Vector | npt.NDArray[np.float64] | Sequence[float] | Sequence[Sequence[float]]
"""Coefficients: one row, or one for each class."""

Values: TypeAlias = float | Vector | npt.NDArray[np.float64] | Sequence[float]
"""Intercepts: one, or one for each class."""


class Setter(Generic[ValueT]):
    """A method that takes a value and returns the object itself."""

    def __get__(self, owner: OwnerT, kind: type[OwnerT]) -> Callable[[ValueT], OwnerT]:
        """The bound method."""
        raise NotImplementedError


class Getter(Generic[ValueT_co]):
    """A method that returns a value."""

    def __get__(self, owner: object, kind: type[Any]) -> Callable[[], ValueT_co]:
        """The bound method."""
        raise NotImplementedError


class TrainingSettings(TypedDict, total=False):
    """Params of every estimator."""

    featuresCol: str
    featuresCols: list[str]
    handleInvalid: str
    labelCol: str
    predictionCol: str
    weightCol: str
    offsetCol: str
    validationIndicatorCol: str
    maxIter: int
    tol: float
    fitIntercept: bool
    aggregationDepth: int
    maxBlockSizeInMB: float
    seed: int
    solver: str
    stepSize: float
    schedule: str
    updater: str
    averaging: bool
    momentum: float
    batchSize: int
    localEpochs: int
    miniBatchFraction: float
    initialCoefficients: Rows
    initialIntercept: Values
    execution: str
    balance: str
    blockAccess: str
    dtype: str
    maxSeconds: float
    earlyStoppingRounds: int
    keepOnInterrupt: bool
    progress: bool
    checkpointDir: str
    checkpointInterval: int
    resume: str


class TrainingAccessors:
    """Setters, and the getters that Spark has not, of params of every estimator."""

    setFeaturesCol: Setter[str]
    setFeaturesCols: Setter[list[str]]
    setHandleInvalid: Setter[str]
    setLabelCol: Setter[str]
    setPredictionCol: Setter[str]
    setWeightCol: Setter[str]
    setOffsetCol: Setter[str]
    setValidationIndicatorCol: Setter[str]
    setMaxIter: Setter[int]
    setTol: Setter[float]
    setFitIntercept: Setter[bool]
    setAggregationDepth: Setter[int]
    setMaxBlockSizeInMB: Setter[float]
    setSeed: Setter[int]
    setSolver: Setter[str]
    setStepSize: Setter[float]
    setSchedule: Setter[str]
    setUpdater: Setter[str]
    setAveraging: Setter[bool]
    setMomentum: Setter[float]
    setBatchSize: Setter[int]
    setLocalEpochs: Setter[int]
    setMiniBatchFraction: Setter[float]
    setInitialCoefficients: Setter[Rows]
    setInitialIntercept: Setter[Values]
    setExecution: Setter[str]
    setBalance: Setter[str]
    setBlockAccess: Setter[str]
    setDtype: Setter[str]
    setMaxSeconds: Setter[float]
    setEarlyStoppingRounds: Setter[int]
    setKeepOnInterrupt: Setter[bool]
    setProgress: Setter[bool]
    setCheckpointDir: Setter[str]
    setCheckpointInterval: Setter[int]
    setResume: Setter[str]
    getFeaturesCols: Getter[list[str]]
    getHandleInvalid: Getter[str]
    getOffsetCol: Getter[str]
    getSolver: Getter[str]
    getStepSize: Getter[float]
    getSchedule: Getter[str]
    getUpdater: Getter[str]
    getAveraging: Getter[bool]
    getMomentum: Getter[float]
    getBatchSize: Getter[int]
    getLocalEpochs: Getter[int]
    getMiniBatchFraction: Getter[float]
    getInitialCoefficients: Getter[list[list[float]]]
    getInitialIntercept: Getter[list[float]]
    getExecution: Getter[str]
    getBalance: Getter[str]
    getBlockAccess: Getter[str]
    getDtype: Getter[str]
    getMaxSeconds: Getter[float]
    getEarlyStoppingRounds: Getter[int]
    getKeepOnInterrupt: Getter[bool]
    getProgress: Getter[bool]
    getCheckpointDir: Getter[str]
    getCheckpointInterval: Getter[int]
    getResume: Getter[str]


class RidgeSettings(TypedDict, total=False):
    """Params of L2 regularisation."""

    regParam: float
    standardization: bool
    penaltyWeights: list[float]


class RidgeAccessors:
    """Setters, and the getters that Spark has not, of params of L2 regularisation."""

    setRegParam: Setter[float]
    setStandardization: Setter[bool]
    setPenaltyWeights: Setter[list[float]]
    getPenaltyWeights: Getter[list[float]]


class ElasticNetSettings(RidgeSettings, total=False):
    """Params of L1 and L2 regularisation."""

    elasticNetParam: float


class ElasticNetAccessors(RidgeAccessors):
    """Setters, and the getters that Spark has not, of params of L1 and L2 regularisation."""

    setElasticNetParam: Setter[float]


class BoundsSettings(TypedDict, total=False):
    """Params of bounds."""

    lowerBoundsOnCoefficients: Rows
    upperBoundsOnCoefficients: Rows
    lowerBoundsOnIntercepts: Values
    upperBoundsOnIntercepts: Values


class BoundsAccessors:
    """Setters, and the getters that Spark has not, of params of bounds."""

    setLowerBoundsOnCoefficients: Setter[Rows]
    setUpperBoundsOnCoefficients: Setter[Rows]
    setLowerBoundsOnIntercepts: Setter[Values]
    setUpperBoundsOnIntercepts: Setter[Values]
    getLowerBoundsOnCoefficients: Getter[list[list[float]]]
    getUpperBoundsOnCoefficients: Getter[list[list[float]]]
    getLowerBoundsOnIntercepts: Getter[list[float]]
    getUpperBoundsOnIntercepts: Getter[list[float]]


class GroupsSettings(TypedDict, total=False):
    """Params of group lasso."""

    penaltyGroups: list[int]


class GroupsAccessors:
    """Setters, and the getters that Spark has not, of params of group lasso."""

    setPenaltyGroups: Setter[list[int]]
    getPenaltyGroups: Getter[list[int]]


class ClassesSettings(TypedDict, total=False):
    """Params of classifiers."""

    rawPredictionCol: str
    threshold: float
    classWeight: str | Mapping[int, float]


class ClassesAccessors:
    """Setters, and the getters that Spark has not, of params of classifiers."""

    setRawPredictionCol: Setter[str]
    setThreshold: Setter[float]
    setClassWeight: Setter[str | Mapping[int, float]]
    getThreshold: Getter[float]
    getClassWeight: Getter[str | dict[str, float]]
