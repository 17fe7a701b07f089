"""Editors complete params and type checkers refuse wrong ones."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing

import pytest
from typing_extensions import get_type_hints

from sparkgd import classification, regression
from tests.support.environment import ROOT

ESTIMATORS = [
    classification.LogisticRegression, classification.LinearSVC, classification.GradientDescentClassifier,
    regression.LinearRegression, regression.GeneralizedLinearRegression, regression.GradientDescentRegressor,
]  # fmt: skip

USER = """
import numpy as np
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame

from sparkgd.classification import LinearSVC, LogisticRegression, RandomForestClassifier
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression


def good(df: DataFrame) -> float:
    estimator = LogisticRegression(regParam=0.1, featuresCols=["a"], initialCoefficients=Vectors.dense([1.0]))
    estimator = estimator.setMaxIter(3).setRegParam(0.5).setThresholds([0.5, 0.5]).setParams(tol=1e-3)
    strength: float = estimator.getRegParam()
    step: float = LinearSVC(classWeight={0: 2.0}).setStepSize(0.1).getStepSize()
    LinearRegression(loss="huber").setEpsilon(2.0).setInitialCoefficients(np.zeros(3))
    GeneralizedLinearRegression(family="poisson").setLink("log").setLinkPredictionCol("eta")
    RandomForestClassifier(numTrees=3)
    return strength + step


def bad(df: DataFrame) -> None:
    LogisticRegression(regParm=0.1)  # refused
    LogisticRegression(regParam="a lot")  # refused
    LogisticRegression().setMaxIters(3)  # refused
    LinearRegression().setMaxIter("many")  # refused
    LinearSVC(elasticNetParam=0.5)  # refused
    GeneralizedLinearRegression().setParams(familly="poisson")  # refused
"""


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_the_types_know_exactly_the_params(kind):
    module = sys.modules[kind.__module__]
    names = {param.name for param in kind().params}
    assert set(get_type_hints(vars(module)[f"{kind.__name__}Settings"])) == names
    accessors = vars(module)[f"{kind.__name__}Accessors"]
    declared = {name for base in accessors.__mro__ for name in vars(base).get("__annotations__", {})}
    assert {name for name in declared if name.startswith("set")} == {f"set{n[0].upper()}{n[1:]}" for n in names}
    assert all(callable(getattr(kind, name)) for name in declared)
    typing.get_type_hints(accessors)


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_the_signature_has_the_params_with_their_defaults(kind):
    keywords = inspect.signature(kind).parameters
    unset = kind()
    assert set(keywords) == {param.name for param in unset.params}
    assert keywords["maxIter"].default == unset.getMaxIter()
    assert keywords["stepSize"].default is None
    assert keywords["regParam"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.slow
def test_mypy_accepts_what_is_right_and_refuses_what_is_wrong(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), "user.py"]
    environment = {"MYPYPATH": str(ROOT), "PATH": ""}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    reported = {int(line.split(":")[1]) for line in run.stdout.splitlines() if line.startswith("user.py:")}
    expected = {i for i, line in enumerate(USER.splitlines(), start=1) if line.endswith("# refused")}
    assert reported == expected, run.stdout + run.stderr
