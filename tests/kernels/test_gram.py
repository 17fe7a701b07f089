"""Sums of outer products: compiled loops over stored values give what BLAS gives."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from sparkgd.kernels import gram
from sparkgd.kernels.gram import DenseGrams, SparseGrams, grams_of
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss, MultinomialLoss
from sparkgd.questions.hessian import HessianKernel
from tests.support.blocks import as_csr, random_block


@pytest.fixture
def always_worth_it(monkeypatch):
    monkeypatch.setattr(gram, "WORTH_COMPILING", -np.inf)


@pytest.mark.parametrize("loss", [LogisticLoss(), MultinomialLoss(3)], ids=["one output", "three"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_compiled_hessians_equal_those_of_blas(loss, fit_intercept, always_worth_it):
    block = random_block(loss, rows=300)
    layout = CoefLayout(5, loss.num_outputs, fit_intercept)
    kernel = HessianKernel(loss, layout, np.random.default_rng(0).normal(size=layout.size), 1)
    assert isinstance(grams_of(as_csr(block), 1), SparseGrams)
    assert isinstance(grams_of(block, 1), DenseGrams)
    np.testing.assert_allclose(kernel(as_csr(block)).hessian, kernel(block).hessian, rtol=1e-12, atol=1e-12)


def test_small_blocks_never_load_numba(monkeypatch):
    monkeypatch.setattr(gram, "_compiled", lambda: pytest.fail("loaded"))
    assert isinstance(grams_of(as_csr(random_block(LogisticLoss())), 1), DenseGrams)


def test_without_numba_blas_does_it(monkeypatch, always_worth_it):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("sparkgd.kernels.compiled"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    gram._compiled.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    assert isinstance(grams_of(as_csr(random_block(LogisticLoss())), 1), DenseGrams)
    monkeypatch.undo()
    gram._compiled.cache_clear()
