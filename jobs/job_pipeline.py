"""What stands around a model in the saved pipeline: categories as features before it, text labels on both sides."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from job_columns import Choice, choose, look, told
from pyspark.ml import PipelineModel
from pyspark.ml.feature import IndexToString, OneHotEncoder, StringIndexer, StringIndexerModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StringType

from sparkgd.exceptions import InvalidDataError
from sparkgd.ml.columns import temporary_name, with_columns
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
    labels : sequence of str, optional
        Text labels, in the order of their numbers.
    label_values : int
        About how many different labels there are, for a classifier.
    """

    estimator: Any
    choice: Choice
    stages: Sequence[Any]
    labels: Sequence[str] | None
    label_values: int

    def apply(self, data: DataFrame) -> DataFrame:
        """The rows as the estimator reads them. What is made of nulls is null, so that it is found to be."""
        data = transformed(data, self.stages)
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
    found = Preparation(estimator, choice, [], None, seen.values.get(label.name, 0))
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
    indexer = _indexer([label], [index], "alphabetAsc").fit(data)
    labels = indexer.labelsArray[0]
    if not labels:
        raise InvalidDataError(f"column {label!r} has no labels: all of them are null")
    print("labels     " + ", ".join(f"{number} = {text}" for number, text in enumerate(labels[:20])), flush=True)
    before.estimator.setLabelCol(index)
    indexer.setHandleInvalid("keep")  # the model does not read it: of rows to score, any label will do
    return replace(before, stages=[indexer], labels=labels, label_values=len(labels))


def _with_categories(before: Preparation, data: DataFrame) -> tuple[Preparation, list[str]]:
    """Stages for the categories, and the columns of features that they make."""
    categories = before.choice.categories
    numbers, vectors = ([_free(data, f"{name}_{kind}") for name in categories] for kind in ("index", "onehot"))
    indexer = _indexer(categories, numbers, "frequencyDesc").fit(data)
    for name, values in zip(categories, indexer.labelsArray, strict=True):
        if len(values) < 2:
            raise InvalidDataError(f"column {name!r} has {len(values)} value; --categoricalCols needs two at least")
    encoder = OneHotEncoder(inputCols=numbers, outputCols=vectors).fit(indexer.transform(data))
    return replace(before, stages=[*before.stages, indexer, encoder]), vectors


def _indexer(inputs: Sequence[str], outputs: Sequence[str], order: str) -> StringIndexer:
    return StringIndexer(inputCols=list(inputs), outputCols=list(outputs), stringOrderType=order)


def transformed(data: DataFrame, stages: Sequence[Any], refuse: bool = False) -> DataFrame:
    """The rows with what the stages before a model make of labels and categories.

    Where Spark's own stages would fail on null, and on values that they have not learned, the result is null, for the
    model's ``handleInvalid`` to decide. With ``refuse``, such a row fails the job that comes across it by an error that
    names the column.
    """
    flags: dict[str, str] = {}
    for stage in stages:
        if isinstance(stage, StringIndexerModel):
            if not set(stage.getInputCols()) & set(data.columns) and stage.getHandleInvalid() == "keep":
                continue  # rows to score have no label
            data = stage.copy({stage.handleInvalid: "keep"}).transform(data)
            for source, made, known in zip(stage.getInputCols(), stage.getOutputCols(), stage.labelsArray, strict=True):
                flags[made] = temporary_name("known")
                is_known = F.col(quoted(made)) < len(known)
                if refuse and stage.getHandleInvalid() != "keep":
                    data = data.where(F.when(is_known, True).otherwise(_refused(source, len(known))))
                data = data.withColumn(flags[made], is_known)
                data = data.withColumn(made, F.when(is_known, F.col(quoted(made))).otherwise(0.0))
        else:
            data = stage.transform(data)
            for source, made in zip(stage.getInputCols(), stage.getOutputCols(), strict=True):
                data = data.withColumn(made, F.when(F.col(flags[source]), F.col(quoted(made))))
    data = with_columns(data, {made: F.when(F.col(flag), F.col(quoted(made))) for made, flag in flags.items()})
    return data.drop(*flags.values())


def _refused(name: str, known: int) -> Column:
    value = F.coalesce(F.col(quoted(name)).cast("string"), F.lit("null"))
    told = f", which is none of its {known:,} values in training; give --handleInvalid skip or keep"
    return F.raise_error(F.concat(F.lit(f"column {name!r} holds "), value, F.lit(told))).cast("boolean")


def _free(data: DataFrame, name: str) -> str:
    """A name that no column has."""
    while name in data.columns:
        name += "_"
    return name
