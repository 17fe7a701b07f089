"""The examples of pyspark's own API pages run with only the import changed."""

from __future__ import annotations

import doctest

import pytest
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression

from sparkgd import classification, regression

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")

DIFFERENT = {
    "LogisticRegression": ("data_path", "mdf", "mlor", 'setParams("vector")'),
    "LinearSVC": (
        "getMaxIter", "setMaxIter(5)", "model.coefficients", "model.intercept", "predictRaw", "result.rawPrediction",
    ),
    "LinearRegression": ('setParams("vector")', "pmml"),
    "GeneralizedLinearRegression": (),
}  # fmt: skip
"""Parts of examples that are left out.

One reads a file that the package pyspark does not have. MLlib's support vector machine stops short of its optimum, a
wrong call raises another message, and PMML is written by ``model.toMLlib()``.
"""


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_examples_of_the_api_pages_run(spark, tmp_path, name):
    theirs, ours = mllib_classification, classification
    if not hasattr(theirs, name):
        theirs, ours = mllib_regression, regression
    names = {each: getattr(ours, each) for each in (name, f"{name}Model")}
    globs = {"spark": spark, "sc": spark.sparkContext, "temp_path": str(tmp_path), **names}
    examples = doctest.DocTestParser().get_examples(getattr(theirs, name).__doc__)
    kept = [each for each in examples if not any(text in each.source for text in DIFFERENT[name])]
    assert len(kept) > 0.6 * len(examples)
    test = doctest.DocTest(kept, globs, name, None, None, None)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False)
    runner.run(test, out=told.append)
    assert not told, "".join(told)
