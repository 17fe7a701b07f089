"""MLlib's metrics from totals over rows: what it gives, also where nearly nothing is left to judge by.

Where MLlib raises an error, the value is nan.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.questions.held_out_scores import Scores

Array = npt.NDArray[np.float64]

ROUNDING = 1e-13
"""A sum of squares about a mean that is no larger, relatively, is nothing but what rounding leaves."""


def error_metric(name: str, totals: Array, through_origin: bool, is_weighted: bool) -> float:
    """A metric of ``RegressionEvaluator`` from the totals of `sparkgd.kernels.measures.ErrorMeasure`.

    The variance of the label is the unbiased one for reliability weights, but the sum of squares that R^2 takes from it
    multiplies by one less than the weight, as if weights counted rows.
    """
    weight, squares, y, y2, p, p2, errors, absolute, label2 = (float(total) for total in totals)
    if weight == 0.0:
        return np.nan
    if name in ("mse", "rmse"):
        return errors / weight if name == "mse" else float(np.sqrt(errors / weight))
    if name == "mae":
        return absolute / weight
    mean = y / weight
    if name == "var":
        return (p2 - 2.0 * mean * p) / weight + mean * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        if through_origin:
            return float(1.0 - np.divide(errors, label2))
        about_mean = y2 - y * mean
        freedom = weight - (squares / weight if is_weighted else 1.0)
        variance = about_mean / freedom if freedom > 0.0 and about_mean > ROUNDING * y2 else 0.0
        return float(1.0 - np.divide(errors, variance * (weight - 1.0)))


def class_metric(name: str, totals: Array, classes: int, label: float, beta: float) -> float:
    """A metric of ``MulticlassClassificationEvaluator`` but for ``logLoss``.

    Parameters
    ----------
    name : str
    totals : ndarray
        Of `sparkgd.kernels.measures.ConfusionMeasure`.
    classes : int
    label : float
        The class of the metrics by label.
    beta : float
        Of the f measures.
    """
    weights, rows = totals.reshape(2, classes + 1, classes)
    of_label, right = weights.sum(axis=1), np.append(np.diagonal(weights), 0.0)
    wrong = np.append(weights.sum(axis=0), 0.0) - right  # by the class that was predicted
    total = of_label.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        if name == "accuracy":
            return float(np.divide(right.sum(), total))
        if name == "hammingLoss":
            return float(np.divide(wrong.sum(), total))
        recall, false_rate = right / of_label, wrong / (total - of_label)
        precision = np.where(right + wrong == 0.0, 0.0, right / (right + wrong))
        square = 1.0 if name == "f1" else beta * beta
        product, mixed = (1.0 + square) * precision * recall, square * precision + recall
        measures = {
            "Precision": precision,
            "Recall": recall,
            "TruePositiveRate": recall,
            "FalsePositiveRate": false_rate,
            "FMeasure": np.where(precision + recall == 0.0, 0.0, product / mixed),
        }
        is_present = rows.sum(axis=1) > 0.0
        if name.endswith("ByLabel"):
            kind = name.removesuffix("ByLabel")
            known = label < classes and is_present[int(label)]
            return float(measures[kind[0].upper() + kind[1:]][int(label)]) if known else np.nan
        shares = measures["FMeasure" if name == "f1" else name.removeprefix("weighted")] * of_label / total
        return float(shares[is_present].sum())


def log_loss(totals: Array) -> float:
    """``logLoss`` from the totals of `sparkgd.kernels.measures.LogLossMeasure`."""
    return float(totals[1] / totals[0]) if totals[0] > 0.0 else np.nan


def area_under_curve(name: str, scores: Scores, bins: int) -> float:
    """A metric of ``BinaryClassificationEvaluator``, by the trapezoidal rule over all thresholds or some of them.

    Where there are so many thresholds, only every so-manieth counts, which leaves about ``bins``. MLlib starts to count
    anew in each of its partitions. From a sample of the scores the area is taken under the whole curve.
    """
    order = np.argsort(-scores.score)
    score, true, false = scores.score[order], np.cumsum(scores.positive[order]), np.cumsum(scores.negative[order])
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], len(score) > 0))
    step = len(ends) // bins if bins and scores.is_whole else 1
    if step >= 2:
        ends = np.append(ends[step - 1 : -1 : step], ends[-1])
    true, false = true[ends], false[ends]
    recall = true / true[-1] if len(ends) and true[-1] > 0.0 else np.zeros(len(ends))
    if name == "areaUnderROC":
        false_rate = false / false[-1] if len(ends) and false[-1] > 0.0 else np.zeros(len(ends))
        return _trapezoids(np.concatenate([[0.0], false_rate, [1.0]]), np.concatenate([[0.0], recall, [1.0]]))
    if len(ends) == 0:
        return np.nan
    precision = np.divide(true, true + false, out=np.ones(len(ends)), where=true + false > 0.0)
    return _trapezoids(np.append(0.0, recall), np.append(precision[0], precision))


def _trapezoids(x: Array, y: Array) -> float:
    """Area under the lines between points."""
    return float(np.diff(x) @ (y[1:] + y[:-1]) / 2.0)
