"""How much longer than the rows they read are those that a projection makes, at most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

NUMBER_BYTES = 8
"""What any value of fixed width takes in a row."""

SUMS = frozenset({"Alias", "CaseWhen", "Coalesce", "Concat", "CreateArray", "If"})
"""Expressions that are at most as long as all that they are made of."""

PATHS = frozenset({"GetStructField", "UnwrapUDT"})
"""Expressions that are a part of what they are made of."""


class ExpressionSize:
    """Sizes of expressions of Spark's optimised plans, added up; what is not known to stay short counts as endless.

    A value of fixed width is short whatever computes it. Arrays and strings may be far longer than Spark's estimate
    of their type, so these must be columns, parts of columns, or put together from short ones.

    Parameters
    ----------
    jvm : JVMView

    Attributes
    ----------
    made : float
        Bytes a row that the expressions add of their own.
    """

    def __init__(self, jvm: Any) -> None:
        self._is_fixed = jvm.org.apache.spark.sql.catalyst.expressions.UnsafeRow.isFixedLength
        self._copied: Counter[str] = Counter()
        self.made = 0.0

    @property
    def copies(self) -> float:
        """How often a byte of the row that is read may be in the one that is made; parts of a column are disjoint."""
        return max((sum(n for other, n in self._copied.items() if part in other) for part in self._copied), default=0)

    def add(self, expression: Any, longer: int = 1) -> None:
        """Add one; what it copies becomes as many times longer."""
        kind = expression.nodeName()
        if self._is_fixed(expression.dataType()):
            self.made += NUMBER_BYTES
        elif _is_part(expression):
            self._copied[expression.toString()] += longer
        elif kind == "CreateArray" and self._is_fixed(expression.dataType().elementType()):
            self.made += NUMBER_BYTES * int(expression.children().size())
        elif kind in SUMS:
            self._add_all(_children(expression), longer)
        elif kind == "Literal":
            self._add_literal(expression)
        elif kind == "Cast":
            self._add_cast(expression, longer)
        elif kind == "ArrayInsert":
            self._add_insert(expression, longer)
        else:
            self.made = math.inf

    def _add_all(self, expressions: Iterable[Any], longer: int) -> None:
        for expression in expressions:
            self.add(expression, longer)

    def _add_literal(self, literal: Any) -> None:
        if literal.value() is not None:
            is_short = self._is_numbers(literal.dataType())
            self.made += NUMBER_BYTES * int(literal.value().numElements()) if is_short else math.inf

    def _add_cast(self, cast: Any, longer: int) -> None:
        """Arrays of numbers are as much longer as their numbers are wider."""
        child = cast.child()
        before, after = child.dataType(), cast.dataType()
        if self._is_numbers(before) and self._is_numbers(after):
            self.add(child, longer * max(-(-int(after.defaultSize()) // int(before.defaultSize())), 1))
        else:
            self.made = math.inf

    def _add_insert(self, insert: Any, longer: int) -> None:
        """Arrays are filled up to the place, which must be a constant."""
        source, place, item = _children(insert)
        if place.nodeName() == "Literal" and place.value() is not None:
            self.made += NUMBER_BYTES * abs(int(place.value()))
            self._add_all((source, item), longer)
        else:
            self.made = math.inf

    def _is_numbers(self, kind: Any) -> bool:
        is_array = kind.getClass().getSimpleName() == "ArrayType"
        return is_array and bool(self._is_fixed(kind.elementType()))


def _is_part(expression: Any) -> bool:
    """Whether an expression is a column, or a field of one."""
    while expression.nodeName() in PATHS:
        expression = expression.child()
    return bool(expression.nodeName() == "AttributeReference")


def _children(expression: Any) -> Iterator[Any]:
    children = expression.children()
    return (children.apply(i) for i in range(children.size()))
