"""One round for many models: what they ask becomes kernels, what comes back becomes answers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

from sparkgd.kernels.local_rows import Rows
from sparkgd.problems.problem import Problem
from sparkgd.questions.base import Answer, Part, Question


@dataclass(frozen=True)
class Asked:
    """A question about a problem, and the rows that are to answer it."""

    problem: Problem
    question: Question
    rows: Rows


def run_round(asked: Sequence[Asked], description: str = "") -> list[Answer]:
    """Answer everything that was asked, by one scan of each of the rows that it is about.

    Questions of the same key are answered together (see `sparkgd.questions.base`).
    """
    answers: dict[int, Answer] = {}
    for members in _grouped([id(each.rows) for each in asked]):
        rows = asked[members[0]].rows
        found = _scan(rows, [(asked[i].problem, asked[i].question) for i in members], description)
        answers.update(zip(members, found, strict=True))
    return [answers[i] for i in range(len(asked))]


def _scan(rows: Rows, questions: Sequence[tuple[Problem, Question]], description: str) -> list[Answer]:
    """The answers of one scan of the rows."""
    parts = [question.parts(problem) for problem, question in questions]
    answers = iter(_answers(rows, [part for several in parts for part in several], description))
    return [
        question.whole(list(islice(answers, len(several))))
        for (_, question), several in zip(questions, parts, strict=True)
    ]


def _answers(rows: Rows, parts: Sequence[Part], description: str) -> list[Answer]:
    groups = _grouped([part.key for part in parts])
    kernels = [parts[members[0]].question.kernel_of([parts[i] for i in members]) for members in groups]
    answers: dict[int, Answer] = {}
    for members, sums in zip(groups, rows.round(kernels, description), strict=True):
        answers.update(zip(members, parts[members[0]].question.answers([parts[i] for i in members], sums), strict=True))
    return [answers[i] for i in range(len(parts))]


def _grouped(keys: Sequence[Hashable]) -> list[list[int]]:
    """Positions of equal keys, in the order in which these first come."""
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return list(groups.values())
