"""Training that goes on with the rows of another batch, as those of a stream do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pyspark.ml.base import Model
from pyspark.sql import DataFrame

from sparkgd.ml.columns import feature_names
from sparkgd.ml.errors import EmptyDataError, IncompatibleError, InvalidDataError, InvalidParamError
from sparkgd.ml.fitting import models_of, packed, raised
from sparkgd.ml.memory import HasMemory
from sparkgd.ml.model_fits import ModelFit
from sparkgd.ml.params.class_weights import BALANCED
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.training_data import TrainingData
from sparkgd.training.constant_label import DecidedModel, decided_model
from sparkgd.training.fit import Fitted
from sparkgd.training.history import Outcome
from sparkgd.training.memory import SOLVER, Memory, learned
from sparkgd.training.plan import Stages

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator

ModelT = TypeVar("ModelT", bound=Model)

LARGEST = 4096
"""Coefs up to which the Hessian of the rows so far, 128 MB then, is kept."""

INSTEAD = "fit the batch with initialCoefficients and initialIntercept of the model to start from it"


class LearnsFromBatches(Generic[ModelT]):
    """An estimator that can go on with other rows."""

    def partialFit(self, dataset: DataFrame, model: ModelT | None = None, decayFactor: float = 1.0) -> ModelT:
        """Fit a batch of rows, and go on from a model of the batches before it, as in ``foreachBatch`` of a stream.

        The rows of before are gone, but the model remembers the gradient and the Hessian of their loss at its
        coefficients: they are a Gaussian prior. The new model minimises the objective over all rows, that of the past
        being the quadratic with these derivatives; penalty and standardization follow the statistics of all rows. For
        least squares the result is that of one fit of all rows, for other losses near it (Laplace's approximation,
        batch after batch: Spiegelhalter and Lauritzen, 1990). A batch costs a few rounds over its own rows.

        Parameters
        ----------
        dataset : DataFrame
            The batch. Where it is empty, the model is returned as it is.
        model : Model, optional
            What ``partialFit`` has returned for the batches before, or a model loaded from where that was saved. By
            default the batch is the first one.
        decayFactor : float
            What the weight of every row of before is multiplied by, above 0 and at most 1: less than 1 forgets.

        Returns
        -------
        Model
            Its summary is about this batch, its ``summary.objective`` about all rows.

        Raises
        ------
        IncompatibleError
            If the loss has no curvature, the solver is neither ``auto`` nor ``newton``, there are more than 4096
            coefficients, or the model has no memory.
        InvalidDataError
            If the features or classes are not those of before, or all labels of a first batch are the same.

        Examples
        --------
        >>> def learn(batch, number):  # doctest: +SKIP
        ...     global model
        ...     model = estimator.partialFit(batch, model)
        >>> stream.writeStream.foreachBatch(learn).start()  # doctest: +SKIP
        """
        return partial_fit(dataset, cast("LinearEstimator[ModelT]", self), model, decayFactor)

    def _forgets(self) -> str:
        """Why an objective over rows of before cannot be told from what `partialFit` remembers; nothing if it can."""
        return ""


@dataclass(frozen=True)
class PartialFit(ModelFit[ModelT]):
    """A fit of a batch, with a memory of those before.

    Attributes
    ----------
    memory : Memory or None
        None before the first batch.
    """

    memory: Memory | None = None

    def decided(self) -> DecidedModel | None:
        """Never: a model at infinity could not go on."""
        if decided_model(self.settings, self.data.rows.statistics, self.data.columns.offset is not None) is None:
            return None
        raise InvalidDataError(
            f"every label in column {self.data.columns.label!r} of the first batch is the same; wait until rows with "
            "other labels are among it"
        )

    def stages(self) -> Stages[Fitted]:
        """Those of the fit, and a question about what to remember."""
        fitted = yield from super().stages()
        return (yield from learned(fitted, self.settings, self.data.rows, self.memory))

    def built(self, outcome: Outcome) -> ModelT:
        """The model, with its memory."""
        model = super().built(outcome)
        model._memory = outcome.result.memory  # type: ignore[attr-defined]
        return model


def partial_fit(dataset: DataFrame, estimator: LinearEstimator[ModelT], model: ModelT | None, decay: float) -> ModelT:
    """See `LearnsFromBatches.partialFit`."""
    memory = _memory_of(estimator, model, decay)
    estimator._check()
    _check(estimator)
    try:
        with packed(dataset, [estimator]) as data:
            if model is not None:
                _check_columns(dataset, estimator, data, model)
            found: Any = raised(models_of({0: _fit_of(estimator, data, memory)})[0])
    except EmptyDataError:
        if model is None:
            raise
        return model
    found._remember(dataset, estimator)
    return cast(ModelT, found)


def _memory_of(estimator: LinearEstimator[Any], model: Any, decay: float) -> Memory | None:
    """What there is to go on from."""
    if not 0.0 < decay <= 1.0:
        raise InvalidParamError(f"decayFactor={decay!r} is not allowed; give a number above 0, at most 1")
    if model is None:
        return None
    if not isinstance(model, HasMemory):
        raise InvalidParamError(f"model must be one that partialFit has returned, not a {type(model).__name__}")
    if model._memory is None:
        raise IncompatibleError(
            f"this {type(model).__name__} has no memory of its rows, since fit has trained it; begin with "
            f"{type(estimator).__name__}.partialFit(df) without a model"
        )
    return model._memory.faded(decay) if decay < 1.0 else model._memory


def _check(estimator: LinearEstimator[Any]) -> None:
    """Refuse what cannot be trained batch by batch, before any row is read.

    Raises
    ------
    IncompatibleError
    """
    loss, solver = estimator._loss(2), estimator._solver_settings().name
    if not loss.is_smooth or not loss.has_curvature or loss.num_scalars:
        raise IncompatibleError(
            f"partialFit remembers rows by the curvature of their loss, which the {loss.name} loss has not; {INSTEAD}"
        )
    if solver not in ("auto", SOLVER):
        raise IncompatibleError(
            f"solver={solver!r} cannot be used with partialFit, only 'auto' or {SOLVER!r}; {INSTEAD}"
        )
    if value_or_none(estimator, "classWeight") == BALANCED:
        raise IncompatibleError(
            f"classWeight={BALANCED!r} would be other weights for each batch; give partialFit a dict of weights"
        )
    if value_or_none(estimator, "checkpointDir") is not None:
        raise IncompatibleError("checkpointDir is not for partialFit: save the model after each batch instead")
    reason = estimator._forgets()
    if reason:
        raise IncompatibleError(f"{reason}; {INSTEAD}")


def _check_columns(dataset: DataFrame, estimator: LinearEstimator[Any], data: TrainingData, model: Any) -> None:
    """Refuse other features than those that the model has learned from."""
    width, known = len(data.rows.statistics.mean), model.numFeatures
    if width != known:
        raise InvalidDataError(f"the rows have {width} features; the model has learned from rows with {known}")
    names, before = feature_names(dataset, data.columns.features, width), model._feature_names
    if names is not None and before is not None and list(names) != list(before):
        place = next(j for j, (own, other) in enumerate(zip(names, before, strict=True)) if own != other)
        raise InvalidDataError(
            f"feature {place} is {names[place]!r}; the model has learned from {before[place]!r} there. Features must "
            "be the same, in the same order"
        )


def _fit_of(estimator: LinearEstimator[ModelT], data: TrainingData, memory: Memory | None) -> PartialFit[ModelT]:
    """The fit of a batch."""
    if memory is None:
        fit = estimator._fit_of(data)
        _check_size(fit.settings.loss.num_outputs * (len(data.rows.statistics.mean) + 1))
        return PartialFit(estimator, data, fit.settings)
    fit = estimator._fit_of(data.after(memory.statistics))
    loss, layout = fit.settings.loss, memory.past.coordinates.layout
    if loss.num_outputs != layout.num_outputs:
        raise InvalidDataError(
            f"column {data.columns.label!r} has labels up to {data.label.high:g}; the model has learned from "
            f"{max(layout.num_outputs, 2)} classes. Name all classes in the label's metadata, as StringIndexer does, "
            "or begin with a batch that has them all"
        )
    if loss.name != memory.loss or fit.settings.fit_intercept != layout.fit_intercept:
        now, before = (f"{name} loss {'with' if has else 'without'} intercept" for name, has in (
            (loss.name, fit.settings.fit_intercept), (memory.loss, layout.fit_intercept)
        ))  # fmt: skip
        raise IncompatibleError(f"the estimator has a {now}; the model was trained with a {before}")
    return PartialFit(estimator, fit.data, memory.going_on(fit.settings), memory)


def _check_size(coefs: int) -> None:
    if coefs > LARGEST:
        raise IncompatibleError(
            f"{coefs} coefficients are too many for partialFit, which keeps their Hessian: at most {LARGEST}. Instead, "
            f"{INSTEAD}"
        )
