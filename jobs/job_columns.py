"""Which columns are features, which are left out and why, and which of them look like an id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from job_io import JobError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, IntegralType, NumericType, StringType

from sparkgd.ml.lookup import find

ALL = ["*"]
"""Value of ``featuresCols`` that means every numeric column without another role."""

UNNAMED = "not named as a feature"
TEXT = "text, which --categoricalCols would take"

ROLES = ("labelCol", "weightCol", "offsetCol", "validationIndicatorCol")

LOOK_ROWS = 100_000
"""Values are counted in so many rows, the first that Spark comes across: enough to tell, and soon done."""

MOST_COUNTED = 500
"""Values are counted in so many columns."""

ID_ROWS = 50
"""In fewer rows an integer may well be different in each."""

ID_SHARE = 0.9
"""A column whose values are different in so many of the rows looks like an id (they are counted to some percent)."""


@dataclass(frozen=True)
class Choice:
    """What becomes of the columns of a DataFrame.

    Attributes
    ----------
    features : list of str
        Columns of numbers, vectors or arrays.
    categories : list of str
    left_out : mapping of str to str
        Why a column is no feature.
    is_named : bool
        Whether the user named the features.
    """

    features: list[str]
    categories: list[str]
    left_out: Mapping[str, str]
    is_named: bool


@dataclass(frozen=True)
class Look:
    """What the first rows hold: how many have a value, and how many different ones there are, by column."""

    filled: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)

    def is_like_id(self, name: str) -> bool:
        """Whether nearly every row has a value of its own."""
        filled = self.filled.get(name, 0)
        return filled >= ID_ROWS and self.values[name] >= ID_SHARE * filled

    def called(self, name: str) -> str:
        """A column with the number of its values."""
        return f"{name} (about {self.values[name]:,} values)" if name in self.values else name


def choose(data: DataFrame, estimator: Any, categories: Sequence[str], roles: Mapping[str, Sequence[str]]) -> Choice:
    """The columns that an estimator is to read; where the user does not name them, all that can be features.

    Parameters
    ----------
    data : DataFrame
    estimator : LinearEstimator
    categories : sequence of str
    roles : mapping of str to sequence of str
        Columns that are no features, by what they are, beside those that params of the estimator name.

    Raises
    ------
    JobError
        If there are none.
    InvalidDataError
        If a column that is named does not exist.
    """
    categories = [find(data, name, "--categoricalCols").field.name for name in categories]
    own = {role: estimator.getOrDefault(role) for role in ROLES if estimator.isDefined(role)}
    taken = {find(data, name, role).field.name: role for role, name in own.items() if name}
    taken |= {find(data, name, role).field.name: role for role, names in roles.items() for name in names}
    named = _named(data, estimator)
    if named is None:
        free = [column for column in data.schema if column.name not in (*taken, *categories)]
        features = [column.name for column in free if isinstance(column.dataType, NumericType | BooleanType)]
        others = {column.name: _why_not(column.dataType) for column in free if column.name not in features}
    else:
        features = [name for name in named if name not in categories]
        read = {*taken, *categories, *features, *(find(data, name, "featuresCols").field.name for name in features)}
        others = {name: UNNAMED for name in data.columns if name not in read}
    if not features and not categories:
        raise JobError("there is no numeric column to use as a feature; name some by --featuresCol, --featuresCols or "
                       "--categoricalCols")  # fmt: skip
    return Choice(features, categories, taken | others, named is not None)


def _named(data: DataFrame, estimator: Any) -> list[str] | None:
    """The columns that the params name; None where all numeric ones are to be taken."""
    if estimator.isDefined("featuresCols") and estimator.getFeaturesCols():
        several: list[str] = estimator.getFeaturesCols()
        return None if several == ALL else several
    one = estimator.getFeaturesCol()
    return [one] if estimator.isSet("featuresCol") or one in data.columns else None


def _why_not(kind: DataType) -> str:
    if isinstance(kind, StringType):
        return TEXT
    return f"{kind.simpleString()}, no number"


def look(data: DataFrame, choice: Choice, others: Iterable[str] = ()) -> Look:
    """Count the different values of columns of integers and text, and of ``others``, in one job, if there are any."""
    kinds = {column.name: column.dataType for column in data.schema}
    numbers = [name for name in choice.features if isinstance(kinds.get(name), IntegralType)]
    texts = [name for name, reason in choice.left_out.items() if reason == TEXT]
    counted = list(dict.fromkeys([*others, *choice.categories, *[*numbers, *texts][:MOST_COUNTED]]))
    if not counted:
        return Look()
    rows = data.select([find(data, name, "").column.alias(f"c{k}") for k, name in enumerate(counted)]).limit(LOOK_ROWS)
    sums = [
        column
        for k in range(len(counted))
        for column in (F.count(f"c{k}").alias(f"n{k}"), F.approx_count_distinct(f"c{k}", 0.02).alias(f"v{k}"))
    ]
    found = rows.agg(*sums).first()
    assert found is not None
    filled = {name: found[f"n{k}"] for k, name in enumerate(counted)}
    return Look(filled, {name: min(found[f"v{k}"], filled[name]) for k, name in enumerate(counted)})


def told(choice: Choice, seen: Look) -> list[str]:
    """What to say of the columns: features, categories, what is left out and why, warnings."""
    lines = [f"features   {_list(choice.features)}"] if choice.features else []
    if choice.categories:
        lines.append(f"categories {_list([seen.called(name) for name in choice.categories])}")
    by_reason: dict[str, list[str]] = {}
    for name, reason in choice.left_out.items():
        reason = "text that looks like an id" if reason == TEXT and seen.is_like_id(name) else reason
        by_reason.setdefault(reason, []).append(seen.called(name) if reason == TEXT else name)
    lines += [f"left out   {_list(names)}: {reason}" for reason, names in by_reason.items()]
    return lines + [_warning(name, choice, seen) for name in (*choice.features, *choice.categories)
                    if seen.is_like_id(name)]  # fmt: skip


def _warning(name: str, choice: Choice, seen: Look) -> str:
    if name in choice.categories:
        advice = "take it out of --categoricalCols"
    else:
        advice = "do not name it as a feature" if choice.is_named else f"--leave-out {name} leaves it out"
    return (
        f"warning    {name} looks like an id: about {seen.values[name]:,} different values in {seen.filled[name]:,} "
        f"rows. What a model learns from an id does not hold for other rows; {advice}"
    )


def _list(names: Sequence[str], most: int = 20) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
