"""From the user's DataFrame to the columns that ingest reads; every schema error is found here, before any job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from pyspark.ml.param import Params
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import BooleanType

from sparkgd.ml.errors import InvalidDataError
from sparkgd.ml.features import is_valid, read_features, vector_column
from sparkgd.ml.lookup import find, wrong_type
from sparkgd.ml.params.shared import value_or_none


@dataclass(frozen=True)
class InputColumns:
    """Names of the columns that a fit reads; None where one is not used, of validation and fold at least one.

    ``invalid`` says what becomes of rows whose features are null or NaN: ``skip`` leaves them out.
    """

    features: str | tuple[str, ...]
    label: str
    weight: str | None = None
    offset: str | None = None
    validation: str | None = None
    fold: str | None = None
    invalid: str = "error"

    def role_names(self) -> dict[str, str]:
        """The user's name of each column role, for messages."""
        is_one = isinstance(self.features, str)
        parts = {} if is_one else {f"part {k}": name for k, name in enumerate(self.features)}
        names = {
            **parts,
            "features": self.features if isinstance(self.features, str) else "featuresCols",
            "label": self.label,
            "weight": self.weight,
            "offset": self.offset,
            "fold": self.validation or self.fold,
        }
        return {role: name for role, name in names.items() if name is not None}

    def feature_name(self, index: int, count: int) -> str:
        """How to call one of ``count`` features in a message."""
        is_named = not isinstance(self.features, str) and len(self.features) == count
        return repr(self.features[index]) if is_named else f"feature {index}"


def select_input(df: DataFrame, columns: InputColumns, *more: Column) -> DataFrame:
    """The DataFrame that `sparkgd.engine.ingest.ingest` reads, with ``more`` columns where they are given.

    Raises
    ------
    InvalidDataError
        If a column is missing or has the wrong type.
    """
    if columns.invalid == "skip":
        df = df.where(is_valid(df, columns.features))
    selected = [*read_features(df, columns.features), _number(df, columns.label, "label", "labelCol")]
    if columns.weight is not None:
        selected.append(_number(df, columns.weight, "weight", "weightCol"))
    if columns.offset is not None:
        selected.append(_number(df, columns.offset, "offset", "offsetCol"))
    if columns.validation is not None:
        found = find(df, columns.validation, "validationIndicatorCol")
        if not isinstance(found.kind, BooleanType):
            raise wrong_type("validationIndicatorCol", columns.validation, found.kind, "boolean")
        selected.append(found.column.cast("double").alias("fold"))
    if columns.fold is not None:
        selected.append(_number(df, columns.fold, "fold", "foldCol"))
    return df.select(*selected, *more)


def input_columns(instance: Params) -> InputColumns:
    """The columns that the params of an estimator, or of its model, name."""
    several = value_or_none(instance, "featuresCols")
    return InputColumns(
        features=tuple(several) if several else instance.getOrDefault("featuresCol"),
        label=instance.getOrDefault("labelCol"),
        weight=value_or_none(instance, "weightCol") or None,
        offset=value_or_none(instance, "offsetCol") or None,
        validation=value_or_none(instance, "validationIndicatorCol"),
        invalid=instance.getOrDefault("handleInvalid"),
    )


def select_labelled(df: DataFrame, columns: InputColumns) -> DataFrame:
    """Features as one vector, label, weight and offset where there are any, under the names of these roles.

    Raises
    ------
    InvalidDataError
        If a column is missing or has the wrong type.
    """
    if columns.invalid == "skip":
        df = df.where(is_valid(df, columns.features))
    selected = [
        vector_column(df, columns.features).alias("features"),
        _number(df, columns.label, "label", "labelCol"),
    ]
    if columns.weight is not None:
        selected.append(_number(df, columns.weight, "weight", "weightCol"))
    if columns.offset is not None:
        selected.append(_number(df, columns.offset, "offset", "offsetCol"))
    return df.select(*selected)


def check_new(df: DataFrame, outputs: dict[str, str]) -> None:
    """Refuse output columns that the DataFrame has already, or of which two have the same name.

    Parameters
    ----------
    df : DataFrame
    outputs : dict of str to str
        Names of the columns by the param that names them.

    Raises
    ------
    InvalidDataError
    """
    taken = dict.fromkeys(df.columns, "the DataFrame has a column of this name already")
    for param, name in outputs.items():
        if name in taken:
            raise InvalidDataError(f"{param}={name!r}: {taken[name]}; give another name")
        taken[name] = f"{param} has this name already"


def declared_classes(df: DataFrame, label: str) -> int:
    """Number of classes that the label column's metadata name (StringIndexer writes them), 0 where they name none."""
    attribute = find(df, label, "labelCol").field.metadata.get("ml_attr", {})
    return int(attribute.get("num_vals", len(attribute.get("vals", ()))))


def feature_names(df: DataFrame, features: str | tuple[str, ...], count: int) -> list[str] | None:
    """Names of the features: of their columns, or as the metadata of the one column have them; None without any."""
    if not isinstance(features, str):
        return list(features) if len(features) == count else None
    found = find(df, features, "featuresCol").field.metadata.get("ml_attr", {}).get("attrs", {})
    attributes = [attribute for group in found.values() for attribute in group]
    named = {attribute["idx"]: attribute["name"] for attribute in attributes if "name" in attribute}
    return [named.get(j, f"{features}_{j}") for j in range(count)] if named else None


def _number(df: DataFrame, name: str, role: str, param: str) -> Column:
    found = find(df, name, param)
    if not found.is_number:
        raise wrong_type(param, name, found.kind, "a number")
    return found.column.cast("double").alias(role)


def with_columns(df: DataFrame, columns: Mapping[str, Column]) -> DataFrame:
    """The DataFrame with these columns; there may be none, of which Spark Connect makes an error."""
    return df.withColumns(dict(columns)) if columns else df


def temporary_name(role: str) -> str:
    """A plain name that no other column has."""
    return f"sparkgd_{role}_{uuid4().hex[:8]}"


def is_plain(name: str) -> bool:
    """Whether Spark takes a name for a column's where it could be an expression."""
    return not any(mark in name for mark in ".`*")
