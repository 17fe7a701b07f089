"""Models out to ``pyspark.ml`` and back, alone or inside a ``PipelineModel``."""

from __future__ import annotations

from typing import Any

from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import VectorAssembler

from sparkgd.classification import LinearSVCModel, LogisticRegressionModel
from sparkgd.ml.columns import temporary_name
from sparkgd.ml.exchange import MLlibTwin
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.scoring import configured
from sparkgd.regression import GeneralizedLinearRegressionModel, LinearRegressionModel

__all__ = ["from_mllib", "to_mllib"]

TWINS: dict[str, type[MLlibTwin]] = {
    twin.__name__: twin
    for twin in (
        LinearSVCModel,
        LogisticRegressionModel,
        LinearRegressionModel,
        GeneralizedLinearRegressionModel,
    )
}
"""The models that ``pyspark.ml`` has too, by name."""


def to_mllib(model: Transformer) -> Transformer:
    """The same transformer with the genuine ``pyspark.ml`` model in place of each of sparkgd's.

    Parameters
    ----------
    model : Transformer
        A model, a ``PipelineModel`` (which may contain others), or any other transformer, which is returned as it is.

    Returns
    -------
    Transformer
        A model with ``featuresCols`` becomes a ``VectorAssembler`` and a model: two stages of a ``PipelineModel``.

    Raises
    ------
    IncompatibleError
        If ``pyspark.ml`` has no such model, or none that adds an offset.
    """
    stages = _to_stages(model)
    return stages[0] if len(stages) == 1 else PipelineModel(stages)


def from_mllib(model: Transformer) -> Transformer:
    """The same transformer with a model of sparkgd in place of each linear one of ``pyspark.ml``.

    Parameters
    ----------
    model : Transformer
        A model, a ``PipelineModel`` (which may contain others), or any other transformer, which is returned as it is.
    """
    if isinstance(model, PipelineModel):
        return PipelineModel([from_mllib(stage) for stage in model.stages])._resetUid(model.uid)
    if not type(model).__module__.startswith("pyspark.ml."):
        return model
    twin = TWINS.get(type(model).__name__)
    given: Any = model
    return model if twin is None else twin.fromMLlib(given)


def _to_stages(model: Transformer) -> list[Transformer]:
    if isinstance(model, PipelineModel):
        stages = [stage for each in model.stages for stage in _to_stages(each)]
        return [PipelineModel(stages)._resetUid(model.uid)]
    if not isinstance(model, MLlibTwin):
        return [model]
    several, invalid = value_or_none(model, "featuresCols"), model.getOrDefault("handleInvalid")
    if not several and invalid == "error":
        return [model.toMLlib()]
    vector = temporary_name("features")
    inputs = several or [model.getOrDefault("featuresCol")]
    assembler = VectorAssembler(inputCols=inputs, outputCol=vector, handleInvalid=invalid)
    return [assembler, configured(model._mllib_twin(), model, vector, ())]
