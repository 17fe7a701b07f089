"""What is asked about held-out rows: plain NumPy's answers, whatever the partitions, the storage, and the company."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from scipy import special, stats

from sparkgd.kernels import Block, Sums
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.held_out import HeldOutModels
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.measures import ConfusionMeasure, ErrorMeasure, LogLossMeasure, Measure
from sparkgd.kernels.predictions import LargestPrediction, MeanPrediction, RawPrediction, ThresholdPrediction
from sparkgd.kernels.sums import joined
from sparkgd.losses import LogisticLoss, MultinomialLoss, SquaredLoss
from sparkgd.penalties import NoPenalty
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import HeldOutScoresQuestion, HeldOutTotalsQuestion
from sparkgd.questions.base import Part
from sparkgd.questions.held_out_scores import HeldOutScoresKernel, Scores
from sparkgd.tuning.formulas import area_under_curve
from tests.questions.test_rows import as_wide
from tests.support.blocks import as_csr, random_block, split

ROWS, COLUMNS = 200, 5
LAYOUT = CoefLayout(COLUMNS)
HELD_OUT = [0, 1, 1, 2, 0]
STOPS = [[], [1, 90], [50, 50, 120]]

every_storage = pytest.mark.parametrize("stored", [replace, as_csr, as_wide])
every_partition = pytest.mark.parametrize("stops", STOPS, ids=str)


def coefs_of(layout: CoefLayout, count: int = len(HELD_OUT)) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, layout.size))


def problem_of(layout: CoefLayout, fold: int) -> Problem:
    return Problem(
        SquaredLoss(),
        layout,
        NoPenalty(),
        Diagonal(layout, np.ones(layout.num_features), np.zeros(layout.num_features)),
        fold,
    )


def parts_of(layout: CoefLayout, ask) -> list[Part]:
    """One question for each model; ``ask(coef, number)`` makes it."""
    coefs = coefs_of(layout)
    return [Part(problem_of(layout, fold), ask(coefs[i], i)) for i, fold in enumerate(HELD_OUT)]


def answered(parts: list[Part], block: Block, stops: list[int], stored=replace) -> list:
    """Replies to questions of one key."""
    first = parts[0].question
    assert len({part.question.shared_key(part.problem) for part in parts}) == 1
    kernel = pickle.loads(pickle.dumps(first.kernel_of(parts)))
    sums = reduce(add, [kernel(stored(piece)) for piece in split(block, stops)]).dense()
    return [answer.reply for answer in first.answers(parts, sums)]


def raw_of(block: Block, coef: np.ndarray, layout: CoefLayout = LAYOUT) -> np.ndarray:
    """Raw predictions (n, K), by the plain formula."""
    raw = block.features.dense() @ layout.weights(coef).T + layout.intercepts(coef)
    return raw if block.offset is None else raw + block.offset[:, None]


def plain_totals(measure: Measure, block: Block, coef: np.ndarray, fold: int, layout: CoefLayout, weighted: bool):
    """The totals from all rows of the fold at once, row by row."""
    rows = np.flatnonzero(block.fold == fold)
    weight = block.weight if weighted else np.ones(block.rows)
    raw = raw_of(block, coef, layout)
    return sum(measure.totals(block.label[[i]], weight[[i]], raw[[i]]) for i in rows)


MEASURES = {
    "errors": (SquaredLoss(), lambda i: ErrorMeasure(RawPrediction(), 0.5)),
    "errors of means": (SquaredLoss(), lambda i: ErrorMeasure(MeanPrediction(np.exp, 0.1, 3.0), -1.0)),
    "confusion": (LogisticLoss(), lambda i: ConfusionMeasure(ThresholdPrediction(0.1 * i), 2)),
    "log loss": (LogisticLoss(), lambda i: LogLossMeasure(1e-9)),
    "confusion of 3": (MultinomialLoss(3), lambda i: ConfusionMeasure(LargestPrediction((0.5, 0.1 * i, 1.0)), 3)),
    "log loss of 3": (MultinomialLoss(3), lambda i: LogLossMeasure(1e-15)),
}


@every_storage
@every_partition
@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("weighted", [True, False])
def test_totals_are_those_of_each_models_fold(name, stops, stored, weighted):
    loss, measure = MEASURES[name]
    layout = CoefLayout(COLUMNS, loss.num_outputs)
    block = random_block(loss, ROWS, COLUMNS, offset=loss.num_outputs == 1)
    parts = parts_of(layout, lambda coef, i: HeldOutTotalsQuestion(coef, weighted, measure(i)))
    found = answered(parts, block, stops, stored)
    for part, reply, fold in zip(parts, found, HELD_OUT, strict=True):
        expected = plain_totals(reply.measure, block, part.question.coef, fold, layout, weighted)
        np.testing.assert_allclose(reply.values, expected, rtol=1e-12, atol=1e-12)
    alone = answered(parts[1:2], block, stops, stored)[0]
    np.testing.assert_allclose(alone.values, found[1].values, rtol=1e-12, atol=1e-12)


def test_scalar_outputs_are_no_raw_predictions():
    layout, block = CoefLayout(COLUMNS, 2, num_scalars=1), random_block(SquaredLoss(), ROWS, COLUMNS, offset=True)
    coef = coefs_of(layout, 1)
    (_, rows, raw), *_ = HeldOutModels(layout, coef, np.array([1], dtype=np.int16)).raw_predictions(block)
    assert raw.shape == (rows.rows, 1, 1)
    expected = raw_of(block, np.append(coef[0, :COLUMNS], coef[0, -2]))[block.fold == 1]
    np.testing.assert_allclose(raw[:, 0], expected, rtol=1e-12)


def test_confusion_is_by_label_and_prediction():
    label, weight = np.array([0.0, 0.0, 1.0, 1.0, 7.0]), np.array([1.0, 2.0, 4.0, 0.0, 8.0])
    raw = np.array([-1.0, 1.0, 1.0, -1.0, 1.0])[:, None]
    weights, rows = ConfusionMeasure(ThresholdPrediction(0.0), 2).totals(label, weight, raw).reshape(2, 3, 2)
    np.testing.assert_array_equal(weights, [[1.0, 2.0], [0.0, 4.0], [0.0, 8.0]])
    np.testing.assert_array_equal(rows, [[1, 1], [1, 1], [0, 1]])


def test_an_infinite_error_of_no_weight_counts_nothing():
    totals = ErrorMeasure(RawPrediction(), 0.0).totals(np.ones(2), np.array([1.0, 0.0]), np.array([[0.0], [np.inf]]))
    np.testing.assert_array_equal(totals, [1, 1, 1, 1, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("count", [2, 3, 20])
def test_sums_can_be_added_in_ranges(count):
    block, measure = random_block(LogisticLoss(), ROWS, COLUMNS), MEASURES["confusion"][1](0)
    for ask in (
        lambda coef, i: HeldOutTotalsQuestion(coef, True, measure),
        lambda coef, i: HeldOutScoresQuestion(coef, True, ROWS, False),
    ):
        parts = parts_of(LAYOUT, ask)
        found = [parts[0].question.kernel_of(parts)(piece) for piece in split(block, [30, 130])]
        whole = reduce(add, found).dense()
        ranges = joined([reduce(add, same) for same in zip(*(sums.cut(count) for sums in found), strict=True)])
        for name in ("totals", "rows"):
            np.testing.assert_array_equal(getattr(ranges, name), getattr(whole, name))


def test_a_block_without_folds_holds_nothing_out():
    block = replace(random_block(LogisticLoss(), ROWS, COLUMNS), fold=None)
    parts = parts_of(LAYOUT, lambda coef, i: HeldOutScoresQuestion(coef, True, ROWS, False))
    assert all(len(reply.score) == 0 for reply in answered(parts, block, []))


@every_storage
@every_partition
@pytest.mark.parametrize("by_probability", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_scores_are_those_of_each_models_fold(stops, stored, by_probability, weighted):
    block = random_block(LogisticLoss(), ROWS, COLUMNS, offset=True)
    parts = parts_of(LAYOUT, lambda coef, i: HeldOutScoresQuestion(coef, weighted, ROWS, by_probability))
    for part, reply, fold in zip(parts, answered(parts, block, stops, stored), HELD_OUT, strict=True):
        assert reply.is_whole
        weight = block.weight if weighted else np.ones(ROWS)
        used = (block.fold == fold) & (weight > 0.0)
        score = raw_of(block, part.question.coef)[used, 0]
        expected = np.column_stack([special.expit(score) if by_probability else score, block.label[used], weight[used]])
        found = np.column_stack([reply.score, reply.positive > 0.0, reply.positive + reply.negative])
        np.testing.assert_allclose(_sorted(found), _sorted(expected), rtol=1e-9)


def test_only_rows_that_are_held_out_take_room():
    block = random_block(LogisticLoss(), ROWS, COLUMNS)
    models = HeldOutModels(LAYOUT, coefs_of(LAYOUT, 1), np.array([1], dtype=np.int16))
    sums = HeldOutScoresKernel(models, ROWS, ROWS)(block)
    held_out = np.count_nonzero(block.fold == 1)
    assert sums.rows.shape == (3, held_out)
    assert len(sums.entries.numbers) == held_out < ROWS


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(rows[:, 0])]


def test_of_two_outputs_the_score_is_that_of_class_one():
    layout, block = CoefLayout(COLUMNS, 2), random_block(MultinomialLoss(2), ROWS, COLUMNS)
    for by_probability in (False, True):
        parts = parts_of(layout, lambda coef, i, by=by_probability: HeldOutScoresQuestion(coef, False, ROWS, by))
        for part, reply, fold in zip(parts, answered(parts, block, []), HELD_OUT, strict=True):
            raw = raw_of(block, part.question.coef, layout)[block.fold == fold]
            expected = special.softmax(raw, axis=1)[:, 1] if by_probability else raw[:, 1]
            np.testing.assert_allclose(reply.score, expected, rtol=1e-9)


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """By ranks."""
    positives = label.sum()
    ranks = stats.rankdata(score)[label > 0.5].sum()
    return float((ranks - positives * (positives + 1) / 2) / positives / (len(label) - positives))


ROWS_OF_MANY = 120_000
RNG = np.random.default_rng(9)


def _scored() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores and labels of all kinds."""
    x = RNG.normal(size=ROWS_OF_MANY)
    heavy = RNG.standard_cauchy(ROWS_OF_MANY) ** 3
    uniform = RNG.random(ROWS_OF_MANY)
    clusters = np.where(uniform < 1e-3, 1e8 * uniform, -7.0 + 1e-3 * x)
    return {
        "normal": (x, uniform < special.expit(2.0 * x)),
        "rare": (x, uniform < 1e-3 * np.exp(x)),
        "heavy tails": (heavy, uniform < special.expit(heavy)),
        "near constant": (-3.0 + 1e-9 * x, uniform < special.expit(x - 2.0)),
        "two clusters far apart": (clusters, uniform < special.expit(x)),
        "ties": (np.round(x), uniform < special.expit(x)),
        "constant": (np.full(ROWS_OF_MANY, 0.3), uniform < 0.2),
        "separated": (x, x > 1.0),
    }


def sampled(score: np.ndarray, label: np.ndarray, weight: np.ndarray, blocks: int, kept: int = 8000) -> Scores:
    """The scores of rows in blocks of equal size, of which not all are kept."""
    fold = np.zeros(len(score), dtype=np.uint8)
    block = Block(DenseFeatures(score[:, None]), label.astype(float), weight, fold=fold)
    models = HeldOutModels(CoefLayout(1, fit_intercept=False), np.ones((1, 1)), np.zeros(1, dtype=np.int16))
    kernel = HeldOutScoresKernel(models, len(score), kept)
    stops = [int(stop) for stop in np.linspace(0, len(score), blocks + 1)[1:-1]]
    (few,) = kernel.scores_of(reduce(add, [kernel(part) for part in split(block, stops)], Sums()).dense())
    assert len(few.score) <= kept
    assert not few.is_whole
    return few


@pytest.mark.parametrize("case", _scored())
@pytest.mark.parametrize("blocks", [1, 40])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_a_sample_of_scores_has_nearly_the_same_area(case, blocks, is_sorted):
    score, label = _scored()[case]
    if is_sorted:  # so that a block knows nothing of the scores of the others
        order = np.argsort(score, kind="stable")
        score, label = score[order], label[order]
    few = sampled(score, label, np.ones(len(score)), blocks)
    assert few.positive.sum() == pytest.approx(label.sum())
    whole = Scores(score, label.astype(float), 1.0 - label)
    assert area_under_curve("areaUnderROC", few, 1000) == pytest.approx(auc(score, label), abs=3e-4)
    assert area_under_curve("areaUnderPR", few, 0) == pytest.approx(area_under_curve("areaUnderPR", whole, 0), abs=1e-3)


@pytest.mark.parametrize("blocks", [1, 40])
def test_a_sample_of_scores_is_drawn_by_weight(blocks):
    score, label = _scored()["normal"]
    weight = np.exp(score) * RNG.choice([0.0, 1.0, 5.0], len(score))
    few, whole = sampled(score, label, weight, blocks), Scores(score, weight * label, weight * ~label)
    for name in ("areaUnderROC", "areaUnderPR"):
        assert area_under_curve(name, few, 0) == pytest.approx(area_under_curve(name, whole, 0), abs=1e-3)


def test_the_area_is_that_by_ranks():
    for case, (score, label) in _scored().items():
        whole = Scores(score, label.astype(float), 1.0 - label)
        assert area_under_curve("areaUnderROC", whole, 0) == pytest.approx(auc(score, label), abs=1e-12), case
