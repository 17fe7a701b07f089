"""The params that estimators share, in Spark's spelling.

``pyspark.ml`` leaves the accessors of each param to be written by hand in every class; `with_accessors` writes the
missing ``setX`` and ``getX`` from the params that a class declares.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypeVar

import numpy as np
from pyspark.ml.linalg import Matrix, Vector
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasAggregationDepth,
    HasFeaturesCol,
    HasFitIntercept,
    HasLabelCol,
    HasMaxBlockSizeInMB,
    HasMaxIter,
    HasPredictionCol,
    HasSeed,
    HasTol,
    HasValidationIndicatorCol,
    HasWeightCol,
)

ParamsT = TypeVar("ParamsT", bound=Params)
ClassT = TypeVar("ClassT", bound=type[Params])


def param(name: str, doc: str, convert: Callable[[Any], Any]) -> Param[Any]:
    """A param declared in a class body."""
    return Param(Params._dummy(), name, doc, typeConverter=convert)


SCORING_PARAMS = (
    "featuresCol", "featuresCols", "offsetCol", "predictionCol", "rawPredictionCol", "probabilityCol",
    "linkPredictionCol", "threshold", "thresholds", "handleInvalid",
)  # fmt: skip
"""Params by which a fitted model scores: only these may be set on it, the others tell how it was fitted."""


def with_accessors(cls: ClassT) -> ClassT:
    """Class decorator: adds ``setX(value)``, which returns the object, and ``getX()`` for every declared param.

    `inspect.signature` of the class, which editors complete from, has the params with their defaults.
    """
    names = _declared(cls)
    _with_getters(_with_setters(cls, names), names)
    unset = cls()
    keywords = [Parameter(name, Parameter.KEYWORD_ONLY, default=value_or_none(unset, name)) for name in names]
    cls.__signature__ = Signature(keywords)  # type: ignore[attr-defined]
    return cls


def with_model_accessors(cls: ClassT) -> ClassT:
    """The same for a fitted model, which has the setters of `SCORING_PARAMS` alone."""
    names = _declared(cls)
    return _with_getters(_with_setters(cls, [name for name in names if name in SCORING_PARAMS]), names)


def _declared(cls: type[Params]) -> list[str]:
    return sorted({name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, Param)})


def _with_setters(cls: ClassT, names: list[str]) -> ClassT:
    for name in names:
        title = f"set{name[0].upper()}{name[1:]}"
        if not hasattr(cls, title):
            setattr(cls, title, _setter(name, title))
    return cls


def _with_getters(cls: ClassT, names: list[str]) -> ClassT:
    for name in names:
        title = f"get{name[0].upper()}{name[1:]}"
        if not hasattr(cls, title):
            setattr(cls, title, _getter(name, title))
    return cls


def _setter(name: str, title: str) -> Callable[[ParamsT, Any], ParamsT]:
    def set_param(self: ParamsT, value: Any) -> ParamsT:
        return self._set(**{name: value})

    set_param.__name__, set_param.__doc__ = title, f"Sets the value of :py:attr:`{name}`; returns the object itself."
    return set_param


def _getter(name: str, title: str) -> Callable[[Params], Any]:
    def get_param(self: Params) -> Any:
        return self.getOrDefault(name)

    get_param.__name__, get_param.__doc__ = title, f"Gets the value of `{name}` or its default value."
    return get_param


def set_all(instance: ParamsT, values: dict[str, Any]) -> ParamsT:
    """Set params by name; None leaves a param as it is, an unknown name is refused with the closest known one.

    Raises
    ------
    TypeError
        If a name is not a param, or a value has the wrong type.
    """
    known = [p.name for p in instance.params]
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{type(instance).__name__} has no param {name!r}{hint}")
    return instance._set(**{name: value for name, value in values.items() if value is not None})


def to_rows(value: Any) -> list[list[float]]:
    """Coefficients given as a vector, a matrix, an array or lists: rows of floats, which JSON can store.

    Raises
    ------
    TypeError
        If the value is none of these.
    """
    if isinstance(value, Matrix | Vector):
        value = value.toArray()
    try:
        array = np.atleast_2d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise TypeError(f"Could not convert {type(value).__name__} to coefficients") from error
    if array.ndim != 2:
        raise TypeError(f"Coefficients must have one or two dimensions, not {array.ndim}")
    return [[float(x) for x in row] for row in array]


def to_floats(value: Any) -> list[float]:
    """Intercepts given as a number, a vector, an array or a list."""
    return to_rows([value] if np.isscalar(value) else value)[0]


class HasInput(HasFeaturesCol):
    """Which columns hold the features."""

    featuresCols = param(
        "featuresCols",
        "columns of numbers, vectors or arrays to use as features, in place of featuresCol",
        TypeConverters.toListString,
    )
    handleInvalid = param(
        "handleInvalid",
        "what becomes of rows whose features are null or NaN: error; skip leaves them out; keep scores them as NaN, "
        "and is an error in fit",
        TypeConverters.toString,
    )


class HasWarmStart(Params):
    """Where training starts."""

    initialCoefficients = param(
        "initialCoefficients",
        "coefficients to start from: a vector, or a matrix of one row per class; default: zeros",
        to_rows,
    )
    initialIntercept = param(
        "initialIntercept",
        "intercept (or one per class) to start from; default: that of the model without features",
        to_floats,
    )


class HasSolver(Params):
    """Which solver, and its settings."""

    solver = param(
        "solver", "optimisation algorithm; 'auto' chooses and says why in the summary", TypeConverters.toString
    )
    stepSize = param(
        "stepSize",
        "step size of gd, sgd and the local solvers, meant for standardised columns if standardization is true; "
        "default: from a curvature bound (> 0)",
        TypeConverters.toFloat,
    )
    schedule = param(
        "schedule",
        "how the step size changes: auto, lineSearch (gd), constant, inverseSqrt, inverseScaling, exponential, cosine, "
        "adaptive (shrinks when values stop falling)",
        TypeConverters.toString,
    )
    updater = param(
        "updater",
        "what sgd makes of a gradient: momentum (heavy ball, plain SGD if momentum is 0), nesterov, adagrad, adam",
        TypeConverters.toString,
    )
    averaging = param(
        "averaging",
        "whether the result of sgd is the mean of its points, not the last",
        TypeConverters.toBoolean,
    )
    momentum = param(
        "momentum", "share of the last step added to the next, of gd and sgd [0, 1)", TypeConverters.toFloat
    )
    batchSize = param("batchSize", "rows of a mini-batch of sgd, drawn uniformly (>= 1)", TypeConverters.toInt)
    localEpochs = param(
        "localEpochs",
        "passes over its rows that each partition makes in a round of localSGD or localSVRG (>= 1)",
        TypeConverters.toInt,
    )
    miniBatchFraction = param(
        "miniBatchFraction", "probability that a row is in a mini-batch of sgd (0, 1]", TypeConverters.toFloat
    )


class HasExecution(Params):
    """Where and how the data are held."""

    execution = param(
        "execution",
        "where rounds run: cluster (Spark jobs), driver (in this process), auto (driver if the packed data are at most "
        "64 MB)",
        TypeConverters.toString,
    )
    balance = param(
        "balance",
        "whether several tasks share a partition of more than its share of stored values: auto (if it has 1.5 times "
        "that of a task), always (if it has more than a task), never",
        TypeConverters.toString,
    )
    blockAccess = param(
        "blockAccess",
        "how a round scans blocks: map (memory-mapped: fastest, the system drops pages when memory is short) or read "
        "(chunk by chunk into one buffer: resident memory stays small where mapped pages are counted against a limit)",
        TypeConverters.toString,
    )
    dtype = param("dtype", "storage type of the features: float64 or float32", TypeConverters.toString)


class HasStopping(Params):
    """When training ends, besides maxIter and tol."""

    maxSeconds = param("maxSeconds", "time limit, in seconds, of all that follows ingest (> 0)", TypeConverters.toFloat)
    earlyStoppingRounds = param(
        "earlyStoppingRounds",
        "stop when the loss on the rows of validationIndicatorCol, which it needs, has not improved for so many "
        "iterations (>= 1)",
        TypeConverters.toInt,
    )
    keepOnInterrupt = param(
        "keepOnInterrupt",
        "whether an interrupt (Ctrl-C, a notebook's stop button) ends the fit with the best model so far",
        TypeConverters.toBoolean,
    )
    progress = param("progress", "show a progress line: in the notebook, else on stderr", TypeConverters.toBoolean)


class HasCheckpoints(Params):
    """What a fit leaves behind for another one to go on from, should its driver be lost."""

    checkpointDir = param(
        "checkpointDir",
        "directory of any filesystem that Hadoop knows, in which the state of training is kept until it has ended well",
        TypeConverters.toString,
    )
    checkpointInterval = param(
        "checkpointInterval",
        "rounds over all rows from one checkpoint to the next (>= 1), or -1 for none",
        TypeConverters.toInt,
    )
    resume = param(
        "resume",
        "what to do with checkpoints in checkpointDir: auto (go on from one of the same data and params, refuse "
        "others), never (start anew), force (go on from one of other data or params)",
        TypeConverters.toString,
    )


class HasOffset(Params):
    """A column added to the raw prediction."""

    offsetCol = param("offsetCol", "column added to every raw prediction, with coefficient 1", TypeConverters.toString)


class ScoringParams(HasInput, HasPredictionCol, HasOffset):
    """Params that a model needs to score rows; copied from the estimator to its model."""

    _feature_names: list[str] | None = None

    def _saved_params(self) -> dict[str, Any]:
        """The params that are set, by name, as JSON can hold them."""
        return {p.name: value for p, value in self._paramMap.items()}


class TrainingParams(
    ScoringParams,
    HasLabelCol,
    HasWeightCol,
    HasValidationIndicatorCol,
    HasMaxIter,
    HasTol,
    HasFitIntercept,
    HasAggregationDepth,
    HasMaxBlockSizeInMB,
    HasSeed,
    HasSolver,
    HasWarmStart,
    HasExecution,
    HasStopping,
    HasCheckpoints,
):
    """Params of every estimator."""

    def _set_training_defaults(self) -> None:
        self._setDefault(
            featuresCol="features",
            handleInvalid="error",
            labelCol="label",
            predictionCol="prediction",
            maxIter=100,
            tol=1e-6,
            fitIntercept=True,
            aggregationDepth=2,
            maxBlockSizeInMB=0.0,
            seed=0,
            solver="auto",
            schedule="auto",
            momentum=0.0,
            updater="momentum",
            averaging=False,
            miniBatchFraction=1.0,
            localEpochs=1,
            execution="auto",
            balance="auto",
            blockAccess="map",
            dtype="float64",
            progress=False,
            keepOnInterrupt=False,
            checkpointInterval=10,
            resume="auto",
        )


def value_or_none(instance: Params, name: str) -> Any:
    """A param's value, None where it has none or the instance has no such param."""
    return instance.getOrDefault(name) if instance.hasParam(name) and instance.isDefined(name) else None
