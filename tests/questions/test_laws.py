"""Laws of all questions that kernels answer: what a kernel promises to return, at most, bounds what it returns."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest

from sparkgd import questions
from sparkgd.kernels import Block, Sums
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.kernels.measures import ConfusionMeasure
from sparkgd.kernels.predictions import LargestPrediction
from sparkgd.kernels.sums import BY_COEF
from sparkgd.losses import HingeLoss, LogisticLoss, MultinomialLoss
from sparkgd.losses.base import Loss
from sparkgd.penalties import ElasticNet
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import (
    CertificateQuestion,
    CondenseQuestion,
    EpochQuestion,
    GradientQuestion,
    GramQuestion,
    HeldOutScoresQuestion,
    HeldOutTotalsQuestion,
    HessianQuestion,
    ProductQuestion,
    RowsQuestion,
    Tangent,
    TangentQuestion,
    WorkingWeightQuestion,
)
from sparkgd.questions.base import KernelQuestion
from sparkgd.questions.held_out_scores import Scores
from sparkgd.questions.held_out_totals import Totals
from sparkgd.solvers.sampling import UniformRows
from sparkgd.training.rounds import Asked, run_round
from tests.kernels.test_wide import WIDTH, wide_block
from tests.support.blocks import split

ROWS, KEPT = 60, 20
STOPS = [25, 40]

SHORT = ("value", "weight", "held_out_value", "held_out_weight", "dual_height")
"""Fields of a few numbers a point, for which a promise of longer ones has room."""


def logistic_information(raw: np.ndarray) -> np.ndarray:
    return 0.25 * np.ones_like(raw)


def points_of(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(count, size)) * 0.5


def asked_of(loss: Loss) -> list[KernelQuestion]:
    """What is asked about a problem with this loss."""
    size = CoefLayout(WIDTH, loss.num_outputs).size
    points = points_of(3, size)
    if isinstance(loss, HingeLoss):
        return [CertificateQuestion(points, 0.3), CondenseQuestion(points, KEPT, ROWS)]
    several = [
        GradientQuestion(points),
        GradientQuestion(points, UniformRows(1, 1, 10, ROWS)),
        HessianQuestion(points[0]),
        HessianQuestion(points[0], np.array([0, 3, WIDTH - 1], dtype=np.intp)),
        ProductQuestion(points[0], points[1:]),
        EpochQuestion(points[0], 0.01, 0.001),
        GramQuestion(np.zeros(WIDTH), np.ones(WIDTH)),
        RowsQuestion(ROWS, WIDTH),
        RowsQuestion(ROWS, WIDTH, step=4),
        TangentQuestion(points[0], np.full(WIDTH, 0.2), np.full(WIDTH, 3.0)),
        HeldOutScoresQuestion(points[0], True, ROWS, True),
        HeldOutTotalsQuestion(points[0], False, ConfusionMeasure(LargestPrediction(), max(loss.num_outputs, 2))),
    ]
    return several if loss.num_outputs > 1 else [*several, WorkingWeightQuestion(logistic_information, points[0])]


LOSSES: list[Loss] = [LogisticLoss(), MultinomialLoss(3), HingeLoss()]
CASES = [(loss, number) for loss in LOSSES for number in range(len(asked_of(loss)))]
every_question = pytest.mark.parametrize(
    ("loss", "number"), CASES, ids=[f"{loss.name}-{type(asked_of(loss)[i]).__name__}-{i}" for loss, i in CASES]
)


def problem_of(loss: Loss, held_out: int) -> Problem:
    layout = CoefLayout(WIDTH, loss.num_outputs)
    ones = np.ones(layout.num_weights)
    scale = np.random.default_rng(0).uniform(0.5, 2.0, WIDTH)
    coordinates = Diagonal(layout, np.full(WIDTH, 0.1), scale)
    return Problem(loss, layout, ElasticNet(0.0 * ones, 0.1 * ones), coordinates, held_out, weight_sum=float(ROWS))


def stored(loss: Loss, kind: str) -> list[Block]:
    """The same rows in three blocks, that touch 5 of 40 columns."""
    wide, sparse = wide_block(loss=loss)
    dense = replace(sparse, features=DenseFeatures(sparse.features.dense()))
    return split({"wide": wide, "csr": sparse, "dense": dense}[kind], STOPS)


def count(sums: Sums, names: tuple[str, ...]) -> int:
    return sum(0 if (array := getattr(sums, name)) is None else array.size for name in names)


def test_every_question_that_a_kernel_answers_is_here():
    classes = [kind for kind in vars(questions).values() if inspect.isclass(kind)]
    known = {kind for kind in classes if issubclass(kind, KernelQuestion)}
    assert known == {type(question) for loss in LOSSES for question in asked_of(loss)}


@every_question
@pytest.mark.parametrize("kind", ["dense", "csr", "wide"])
@pytest.mark.parametrize("held_out", [-1, 1])
def test_what_a_kernel_returns_is_within_its_promise(loss, number, kind, held_out):
    problem = problem_of(loss, held_out)
    kernel = asked_of(loss)[number].kernel(problem)
    promised, dealt = kernel.answer_size, 0
    by_coef = tuple(name for name in BY_COEF if name != "rows")
    for block in stored(loss, kind):
        sums = kernel(block)
        share = 1.0 if sums.entries is None or sums.rows is not None else len(sums.entries.numbers) / sums.entries.size
        assert count(sums, by_coef) <= promised.by_coef * share
        assert count(sums, ("hessian", "groups", "totals")) <= promised.whole
        assert count(sums, SHORT) <= 4 * 3 + 2 * 3
        dealt += count(sums, ("rows",))
    assert dealt <= promised.dealt


@every_question
def test_a_wide_block_returns_numbers_of_its_own_columns_alone(loss, number):
    kernel = asked_of(loss)[number].kernel(problem_of(loss, -1))
    if kernel.answer_size.by_coef == 0 or isinstance(asked_of(loss)[number], EpochQuestion):
        return  # nothing by coef; epochs move every column, towards zero if by nothing else
    for block in stored(loss, "wide"):
        entries = kernel(block).entries
        assert entries is not None
        assert len(entries.numbers) <= (5 + 1) * loss.num_outputs


@every_question
@pytest.mark.parametrize("kind", ["csr", "wide"])
@pytest.mark.parametrize("held_out", [-1, 1])
def test_the_answer_does_not_depend_on_how_rows_are_stored(loss, number, kind, held_out):
    question, problem = asked_of(loss)[number], problem_of(loss, held_out)
    if isinstance(question, EpochQuestion):
        return  # how often L2 is folded in depends on what is stored (see test_epochs)
    found, expected = (run_round([Asked(problem, question, LocalRows(stored(loss, k)))])[0] for k in (kind, "dense"))
    for mine, other in zip(numbers_of(found.reply), numbers_of(expected.reply), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.held_out_losses, expected.held_out_losses, rtol=1e-11)


def numbers_of(reply: object) -> list[np.ndarray]:
    """All arrays of a reply of whatever kind."""
    if isinstance(reply, Block):
        return [reply.features.dense(), reply.label, reply.weight]
    if isinstance(reply, Scores):
        return [reply.score, reply.positive, reply.negative]
    if isinstance(reply, Totals):
        return [reply.values]
    if isinstance(reply, Tangent):
        return [np.asarray(reply.value), reply.gradient, reply.hessian, np.asarray(reply.weight)]
    if not hasattr(reply, "values"):
        return [np.asarray(reply)]
    certificate = [] if reply.certificate is None else list(vars(reply.certificate).values())
    parts = [reply.values, reply.gradients, reply.hessian, reply.products, reply.local_point, *certificate]
    return [part for part in parts if part is not None]


@every_question
def test_questions_asked_together_are_answered_as_each_alone(loss, number):
    rows = LocalRows(stored(loss, "csr"))
    asked = [Asked(problem_of(loss, held_out), asked_of(loss)[number], rows) for held_out in (-1, 0, 1)]
    for mine, each in zip(run_round(asked), asked, strict=True):
        alone = run_round([each])[0]
        for left, right in zip(numbers_of(mine.reply), numbers_of(alone.reply), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(mine.held_out_losses, alone.held_out_losses, rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "csr", "wide"])
def test_models_of_few_columns_are_answered_as_by_all(kind):
    """Those of nearly as many share a product, of the columns of all of them; a whole model has one of its own."""
    loss = LogisticLoss()
    rows, whole = LocalRows(stored(loss, kind)), problem_of(loss, 1)
    chosen = [np.array([1, 5, 20]), np.array([5, 6, 39]), np.arange(12)]
    asked, expected = [Asked(whole, GradientQuestion(points_of(2, WIDTH + 1)), rows)], []
    for columns in chosen:
        few, known = whole.among(columns), whole.layout.restricted(columns)[1]
        points = points_of(2, len(known.numbers))
        asked.append(Asked(few, GradientQuestion(points), rows))
        reply = run_round([Asked(whole, GradientQuestion(known.spread(points)), rows)])[0].reply
        expected.append((reply.values, known.of(reply.gradients)))
    assert len({part.key for each in asked for part in each.question.parts(each.problem)}) == 3
    for answer, (values, gradients) in zip(run_round(asked)[1:], expected, strict=True):
        np.testing.assert_allclose(answer.reply.values, values, rtol=1e-12)
        np.testing.assert_allclose(answer.reply.gradients, gradients, rtol=1e-11, atol=1e-13)
