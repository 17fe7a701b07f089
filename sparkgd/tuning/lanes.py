"""Param maps of an estimator, or of a pipeline that ends in one, in groups that prepare the features alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.base import Estimator, Model, Transformer
from pyspark.sql import DataFrame

from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.params.class_weights import BALANCED
from sparkgd.ml.params.shared import value_or_none
from sparkgd.tuning.results import ParamMap

AnyEstimator: TypeAlias = LinearEstimator[Any]


@dataclass(frozen=True)
class Lane:
    """Maps whose features come from the same stages.

    Attributes
    ----------
    head : sequence of Estimator or Transformer
        Stages before the last one; none where there is no pipeline.
    estimators : mapping of int to LinearEstimator
        The last stage with the params of each map, by the map's position.
    is_pipeline : bool
    """

    head: Sequence[Any]
    estimators: Mapping[int, AnyEstimator]
    is_pipeline: bool

    @property
    def learns(self) -> bool:
        """Whether a stage of the head is fitted, to the training rows of each fold."""
        return any(isinstance(stage, Estimator) for stage in self.head)

    def fitted(self, rows: DataFrame) -> PipelineModel:
        """The head, fitted to some rows."""
        model: PipelineModel = Pipeline(stages=list(self.head)).fit(rows)
        return model

    def whole(self, head: PipelineModel, model: Model) -> Model:
        """A model of the last stage with the head that makes its features."""
        return PipelineModel([*head.stages, model]) if self.is_pipeline else model


def lanes_of(estimator: Estimator[Any], maps: Sequence[ParamMap]) -> list[Lane] | None:
    """The lanes of all maps; None where models cannot share rows with folds.

    That is so for estimators of others; where a column says which rows validate, since blocks know one division of
    rows only; and for balanced classes, whose weights are those of the training rows.
    """
    is_pipeline = isinstance(estimator, Pipeline)
    groups: dict[Hashable, tuple[list[Any], dict[int, AnyEstimator]]] = {}
    for number, params in enumerate(maps):
        copied = estimator.copy(dict(params))
        stages = list(copied.getStages()) if isinstance(copied, Pipeline) else [copied]
        if not stages or not _can_share(stages[-1]) or not all(map(_is_stage, stages)):
            return None
        key = _head_params(params, stages[-1].uid)
        last: Any = stages[-1]
        groups.setdefault(key, (stages[:-1], {}))[1][number] = last
    return [Lane(head, estimators, is_pipeline) for head, estimators in groups.values()]


def _can_share(estimator: Any) -> bool:
    if not isinstance(estimator, LinearEstimator):
        return False
    is_balanced = value_or_none(estimator, "classWeight") == BALANCED
    return value_or_none(estimator, "validationIndicatorCol") is None and not is_balanced


def _is_stage(stage: Any) -> bool:
    return isinstance(stage, Estimator | Transformer)


def _head_params(params: ParamMap, last: str) -> Hashable:
    """What a map says of stages before the last."""
    return frozenset((param.parent, param.name, repr(value)) for param, value in params.items() if param.parent != last)
