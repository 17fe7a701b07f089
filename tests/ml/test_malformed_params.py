"""Malformed params, by the hundred: a clear error, or a model that is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.malformed import ESTIMATORS, assert_finite, inputs, junk, numbers, only_clear_errors

VALUES = "(array(0.5D, 1D), 1D, 2D), (array(-1D, 0D), 0D, 1D), (array(2D, 1D), 1D, 1D), (array(0.2D, -3D), 0D, 0.5D)"

NAMES = {kind: sorted(param.name for param in kind().params) for kind in ESTIMATORS}

LIKELY = {
    "solver": ["auto", "gd", "sgd", "l-bfgs", "owlqn", "newton", "newton-cg", "nesterov", "localSGD", "localSVRG"],
    "schedule": ["lineSearch", "constant", "inverseSqrt", "inverseScaling", "exponential", "cosine", "adaptive"],
    "updater": ["momentum", "nesterov", "adagrad", "adam"],
    "family": ["auto", "binomial", "multinomial", "gaussian", "poisson", "gamma", "tweedie", "Poisson"],
    "link": ["identity", "log", "inverse", "logit", "probit", "cloglog", "sqrt"],
    "loss": [
        "squared", "huber", "quantile", "epsilonInsensitive", "logistic", "hinge", "squaredHinge", "modifiedHuber",
        "poisson", "gamma", "tweedie", "inverseGaussian", "negativeBinomial", "squaredError", "none:None", "json:dumps",
    ],
    "momentum": [0.0, 0.9], "stepSize": [1e-3, 1.0, 1e300], "miniBatchFraction": [0.3, 1.0], "batchSize": [1, 2, 99],
    "localEpochs": [1, 3], "tol": [0.0, 1e-3], "aggregationDepth": [1, 2, 9], "seed": [0, -5, 2**62],
    "epsilon": [0.0, 1.5, 1e300, 1e-300], "quantile": [0.5, 1e-300, 0.9], "alpha": [1.0, 1e-300, 1e300],
    "variancePower": [0.0, 1.0, 1.5, 2.0, 3.0, 1e8], "linkPower": [0.0, 1.0, -1.0, 0.5, 1e3], "threshold": [0.0, 0.5],
    "thresholds": [[0.5, 0.5], [0.0, 1.0], [1.0], [0.2, 0.3, 0.5]], "handleInvalid": ["error", "skip", "keep"],
    "averaging": [True, False], "fitIntercept": [True, False], "standardization": [True, False],
    "balance": ["always", "never"], "blockAccess": ["read"], "featuresCols": [["weight"], ["features", "weight"]],
    "weightCol": ["weight", "label"], "offsetCol": ["weight", "label"], "dtype": ["float32", "float64"],
    "regParam": [0.0, 0.1, 1e300, 1e-300], "elasticNetParam": [0.0, 0.5, 1.0], "penaltyGroups": [[0, 0], [0, -1]],
    "penaltyWeights": [[0.0, 1.0], [1e300, 0.0]], "initialCoefficients": [[0.0, 1.0], [1e300, -1e300]],
    "initialIntercept": [1.0, 1e300, [0.0, 1.0]], "classWeight": ["balanced", {0: 2.0}, {1: 0.0}, {1: 1e300}],
    "lowerBoundsOnCoefficients": [[0.0, 0.0], [1.0, 1e300]], "upperBoundsOnCoefficients": [[0.0, 0.0], [-1e300, 1.0]],
    "lowerBoundsOnIntercepts": [[0.0], [5.0, 0.0]], "upperBoundsOnIntercepts": [[-1.0], [0.0, 0.0]],
}  # fmt: skip
"""Values that get further than most."""

ELSEWHERE = {"checkpointDir", "maxSeconds", "maxIter", "progress", "execution"}
"""Params with a test of their own, or that make fits long; tests of malformed frames run on a cluster too."""


@st.composite
def settings_of_an_estimator(draw):
    """A class, and values for some of its params, of which most are of the right kind."""
    kind = draw(st.sampled_from(ESTIMATORS))
    names = st.sampled_from([name for name in NAMES[kind] if name not in ELSEWHERE])
    chosen = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    values = {}
    for name in chosen:
        likely = st.sampled_from(LIKELY[name]) if name in LIKELY else numbers
        values[name] = draw(junk if draw(st.integers(0, 9)) == 0 else likely)
    return kind, values


@pytest.fixture(scope="module")
def df(spark):
    return spark.sql(f"SELECT * FROM VALUES {VALUES} AS t(features, label, weight)")


@inputs(600)
@given(case=settings_of_an_estimator())
def test_params_are_refused_clearly_or_make_a_finite_model(df, case):
    kind, values = case
    with only_clear_errors():
        assert_finite(kind(maxIter=8, maxSeconds=5.0).setParams(**values).fit(df))
