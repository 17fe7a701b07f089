"""Scoring under names that need no quotes, whatever the user's columns are called.

MLlib's models take most column names for expressions: in ``a.b`` they look for the field ``b`` of a column ``a``, and a
backtick is a syntax error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pyspark.sql import DataFrame

from sparkgd.ml.columns import check_new, is_plain, temporary_name
from sparkgd.ml.lookup import find
from sparkgd.ml.params.shared import ScoringParams, value_or_none

ModelT = TypeVar("ModelT", bound=ScoringParams)

OUTPUTS = ("rawPredictionCol", "probabilityCol", "linkPredictionCol", "predictionCol")
"""Params that name columns which a model adds; an empty name adds none."""


def score_with_plain_names(model: ModelT, df: DataFrame, score: Callable[[ModelT, DataFrame], DataFrame]) -> DataFrame:
    """Apply ``score(model, df)`` to a copy of the model in which outputs and offset have plain names, then rename.

    Raises
    ------
    InvalidDataError
        If the DataFrame has a column of an output's name.
    """
    outputs = {name: column for name in OUTPUTS if (column := value_or_none(model, name))}
    check_new(df, outputs)
    plain = {name: temporary_name(name) for name, column in outputs.items() if not is_plain(column)}
    back = {plain[name]: outputs[name] for name in plain}
    offset = value_or_none(model, "offsetCol")
    if offset and not is_plain(offset):
        plain["offsetCol"] = temporary_name("offset")
        df = df.withColumn(plain["offsetCol"], find(df, offset, "offsetCol").column)
    if not plain:
        return score(model, df)
    scored = score(model.copy({model.getParam(name): column for name, column in plain.items()}), df)
    kept = scored.drop(plain["offsetCol"]) if "offsetCol" in plain else scored
    return kept.toDF(*(back.get(column, column) for column in kept.columns))
