"""From the user's DataFrame to the columns that ingest reads; every schema error is found here, before any job."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from pyspark.ml.linalg import VectorUDT
from pyspark.ml.param import Params
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BooleanType, DataType, NumericType

from sparkgd.ml.errors import InvalidDataError
from sparkgd.ml.params.shared import value_or_none


@dataclass(frozen=True)
class InputColumns:
    """Names of the columns that a fit reads; None where one is not used."""

    features: str | tuple[str, ...]
    label: str
    weight: str | None = None
    offset: str | None = None
    validation: str | None = None

    def role_names(self) -> dict[str, str]:
        """The user's name of each column role, for messages."""
        features = self.features if isinstance(self.features, str) else "featuresCols"
        names = {
            "features": features,
            "label": self.label,
            "weight": self.weight,
            "offset": self.offset,
            "fold": self.validation,
        }
        return {role: name for role, name in names.items() if name is not None}

    def feature_name(self, index: int) -> str:
        """How to call a feature column in a message."""
        return f"feature {index}" if isinstance(self.features, str) else repr(self.features[index])


def select_input(df: DataFrame, columns: InputColumns) -> DataFrame:
    """The DataFrame that `sparkgd.engine.ingest.ingest` reads.

    Raises
    ------
    InvalidDataError
        If a column is missing or has the wrong type.
    """
    selected = [*_features(df, columns.features), _number(df, columns.label, "label", "labelCol")]
    if columns.weight is not None:
        selected.append(_number(df, columns.weight, "weight", "weightCol"))
    if columns.offset is not None:
        selected.append(_number(df, columns.offset, "offset", "offsetCol"))
    if columns.validation is not None:
        kind = _type(df, columns.validation, "validationIndicatorCol")
        if not isinstance(kind, BooleanType):
            raise _wrong_type("validationIndicatorCol", columns.validation, kind, "boolean")
        selected.append(df[_quoted(columns.validation)].cast("double").alias("fold"))
    return df.select(*selected)


def input_columns(instance: Params) -> InputColumns:
    """The columns that the params of an estimator, or of its model, name."""
    several = value_or_none(instance, "featuresCols")
    return InputColumns(
        features=tuple(several) if several else instance.getOrDefault("featuresCol"),
        label=instance.getOrDefault("labelCol"),
        weight=value_or_none(instance, "weightCol") or None,
        offset=value_or_none(instance, "offsetCol") or None,
        validation=value_or_none(instance, "validationIndicatorCol"),
    )


def select_labelled(df: DataFrame, columns: InputColumns) -> DataFrame:
    """Features as one vector, label, weight and offset where there are any, under the names of these roles.

    Raises
    ------
    InvalidDataError
        If a column is missing or has the wrong type.
    """
    selected = [
        features_column(df, columns.features).alias("features"),
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
    attribute = df.schema[label].metadata.get("ml_attr", {})
    return int(attribute.get("num_vals", len(attribute.get("vals", ()))))


def feature_names(df: DataFrame, features: str | tuple[str, ...], count: int) -> list[str] | None:
    """Names of the features: of their columns, or as the metadata of the one column have them; None without any."""
    if not isinstance(features, str):
        return list(features) if len(features) == count else None
    found = df.schema[features].metadata.get("ml_attr", {}).get("attrs", {})
    attributes = [attribute for group in found.values() for attribute in group]
    named = {attribute["idx"]: attribute["name"] for attribute in attributes if "name" in attribute}
    return [named.get(j, f"{features}_{j}") for j in range(count)] if named else None


def features_column(df: DataFrame, features: str | tuple[str, ...]) -> Column:
    """The features as one column that ``pyspark.ml`` can read: a vector as it is, arrays and numbers converted."""
    from pyspark.ml.functions import array_to_vector

    if isinstance(features, str) and isinstance(_type(df, features, "featuresCol"), VectorUDT):
        return df[_quoted(features)]
    return array_to_vector(_features(df, features)[0])


def _features(df: DataFrame, features: str | tuple[str, ...]) -> list[Column]:
    if not isinstance(features, str):
        numbers = [_number(df, name, name, "featuresCols") for name in features]
        return [F.array(*numbers).alias("features")]
    kind = _type(df, features, "featuresCol")
    column = df[_quoted(features)]
    if isinstance(kind, VectorUDT):
        return _vector_parts(column)
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType):
        return [column.cast("array<double>").alias("features")]
    raise _wrong_type("featuresCol", features, kind, "a vector or an array of numbers (or name numeric featuresCols)")


def _vector_parts(column: Column) -> list[Column]:
    """Values, and indices with the size, of a vector, read straight from its row format: nothing is densified.

    The indices of a dense vector are null; an empty array instead spares Arrow the null lists, which cost four times
    the whole transfer.
    """
    parts = F.unwrap_udt(column)
    indices = F.array_append(parts.getField("indices"), parts.getField("size"))
    return [
        parts.getField("values").alias("features"),
        F.coalesce(indices, F.array().cast("array<int>")).alias("indices"),
    ]


def _number(df: DataFrame, name: str, role: str, param: str) -> Column:
    kind = _type(df, name, param)
    if not isinstance(kind, NumericType | BooleanType):
        raise _wrong_type(param, name, kind, "a number")
    return df[_quoted(name)].cast("double").alias(role)


def _type(df: DataFrame, name: str, param: str) -> DataType:
    for field in df.schema.fields:
        if field.name == name:
            return field.dataType
    known = ", ".join(repr(column) for column in df.columns[:20])
    raise InvalidDataError(f"{param}={name!r} does not exist; the DataFrame has {known}")


def _wrong_type(param: str, name: str, kind: DataType, allowed: str) -> InvalidDataError:
    return InvalidDataError(f"{param}={name!r} has type {kind.simpleString()}; it must be {allowed}")


def temporary_name(role: str) -> str:
    """A plain name that no other column has."""
    return f"sparkgd_{role}_{uuid4().hex[:8]}"


def is_plain(name: str) -> bool:
    """Whether Spark takes a name for a column's where it could be an expression."""
    return not any(mark in name for mark in ".`*")


def _quoted(name: str) -> str:
    """Column names may contain dots, which Spark would read as struct fields."""
    return f"`{name.replace('`', '``')}`"
