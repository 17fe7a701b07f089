"""What stands around a model in the saved pipeline: categories as features before it, text labels on both sides."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from job_columns import Choice, choose, look, told
from pyspark.ml import PipelineModel
from pyspark.ml.feature import IndexToString, OneHotEncoder, StringIndexer, StringIndexerModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StringType

from sparkgd.exceptions import InvalidDataError
from sparkgd.ml.lookup import find, quoted

PREDICTED = "predictedLabel"
"""Column of the predictions of text labels, as text."""


@dataclass(frozen=True)
class Preparation:
    """Stages that were fitted to the source, and an estimator that reads what they make.

    Vocabularies alone are learned: which categories and labels there are. They are those of all rows, the held-out ones
    too, so that no row has a category that the model does not know.

    Attributes
    ----------
    estimator : LinearEstimator
    choice : Choice
        Of columns.
    stages : sequence of Model
    sources : sequence of (str, str)
        A column that is made by the stages, and the column that it is made of.
    labels : sequence of str, optional
        Text labels, in the order of their numbers.
    label_values : int
        About how many different labels there are, for a classifier.
    """

    estimator: Any
    choice: Choice
    stages: Sequence[Any]
    sources: Sequence[tuple[str, str]]
    labels: Sequence[str] | None
    label_values: int

    def apply(self, data: DataFrame) -> DataFrame:
        """The rows as the estimator reads them. What is made of nulls is null, so that it is found to be."""
        for stage in self.stages:
            data = stage.transform(data)
        for made, source in self.sources:
            data = data.withColumn(made, F.when(F.col(quoted(source)).isNotNull(), F.col(quoted(made))))
        label = find(data, self.estimator.getLabelCol(), "labelCol")
        if isinstance(label.kind, BooleanType) and label.field.name in data.columns:  # evaluators want a number
            data = data.withColumn(label.field.name, label.column.cast("double"))
        return data

    def whole(self, model: Any) -> Any:
        """The model to save: the pipeline, or the model alone where it needs none."""
        after = []
        if self.labels is not None:
            after = [IndexToString(inputCol=model.getPredictionCol(), outputCol=PREDICTED, labels=list(self.labels))]
        return PipelineModel([*self.stages, model, *after]) if self.stages else model

    def report(self) -> dict[str, Any]:
        """What became of the columns, for a report."""
        chosen = self.choice
        columns = {"features": chosen.features, "categories": chosen.categories, "leftOut": chosen.left_out}
        return {"columns": columns, **({} if self.labels is None else {"labels": self.labels})}


def prepare(data: DataFrame, estimator: Any, options: argparse.Namespace) -> Preparation:
    """Choose the features, say which they are, and learn what categories and text labels there are.

    The estimator is told to read the columns that are made of them.
    """
    roles = {"--leave-out": options.leave_out, "--foldCol": [options.foldCol] if options.foldCol else []}
    choice = choose(data, estimator, options.categoricalCols, roles)
    label = find(data, estimator.getLabelCol(), "labelCol")
    seen = look(data, choice, [label.name] if options.task == "classification" else [])
    for line in told(choice, seen):
        print(line, flush=True)
    found = Preparation(estimator, choice, [], [], None, seen.values.get(label.name, 0))
    if options.task == "classification" and isinstance(label.kind, StringType):
        found = _with_labels(found, data, label.name)
    features = list(choice.features)
    if choice.categories:
        found, vectors = _with_categories(found, data)
        features += vectors
    if features != [estimator.getFeaturesCol()]:
        estimator.setFeaturesCols(features)
    return found


def _with_labels(before: Preparation, data: DataFrame, label: str) -> Preparation:
    index = _free(data, f"{label.replace('.', '_')}_index")
    indexer = _indexed(data, [label], [index], "alphabetAsc")
    labels = indexer.labelsArray[0]
    if not labels:
        raise InvalidDataError(f"column {label!r} has no labels: all of them are null")
    print("labels     " + ", ".join(f"{number} = {text}" for number, text in enumerate(labels[:20])), flush=True)
    before.estimator.setLabelCol(index)
    return replace(before, stages=[indexer], sources=[(index, label)], labels=labels, label_values=len(labels))


def _with_categories(before: Preparation, data: DataFrame) -> tuple[Preparation, list[str]]:
    """Stages for the categories, and the columns of features that they make."""
    categories = before.choice.categories
    numbers, vectors = ([_free(data, f"{name}_{kind}") for name in categories] for kind in ("index", "onehot"))
    indexer = _indexed(data, categories, numbers, "frequencyDesc")
    encoder = OneHotEncoder(inputCols=numbers, outputCols=vectors).fit(indexer.transform(data))
    allows_nulls = before.estimator.getHandleInvalid() == "keep"
    sources = [] if allows_nulls else list(zip(vectors, categories, strict=True))
    added = replace(before, stages=[*before.stages, indexer, encoder], sources=[*before.sources, *sources])
    return added, vectors


def _indexed(data: DataFrame, inputs: Sequence[str], outputs: Sequence[str], order: str) -> StringIndexerModel:
    """A number for each value; null and values to come have the number after the last, for which no feature stands."""
    indexer = StringIndexer(
        inputCols=list(inputs), outputCols=list(outputs), stringOrderType=order, handleInvalid="keep"
    )  # fmt: skip
    fitted: StringIndexerModel = indexer.fit(data)
    return fitted


def _free(data: DataFrame, name: str) -> str:
    """A name that no column has."""
    while name in data.columns:
        name += "_"
    return name
