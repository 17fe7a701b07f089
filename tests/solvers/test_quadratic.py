"""The quadratic models that Newton's method minimises on the driver."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.penalties import Bounded, ElasticNet
from sparkgd.solvers import quadratic
from sparkgd.solvers.quadratic import model_step

SIZE = 8
PENALTIES = {
    "l1": ElasticNet(np.linspace(0.0, 4.0, SIZE), np.zeros(SIZE)),
    "strong l1": ElasticNet(np.full(SIZE, 1e3), np.zeros(SIZE)),
    "walls": Bounded(np.full(SIZE, -0.5), np.full(SIZE, 0.3)),
    "half open": Bounded(np.zeros(SIZE), np.full(SIZE, np.inf)),
}
each_penalty = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)


def model(seed, rank=SIZE):
    """A point within all walls, gradient and Hessian."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(SIZE, rank))
    return 0.3 * rng.random(SIZE) * rng.integers(0, 2, SIZE), root @ rng.normal(size=rank), root @ root.T


def value(penalty, point, gradient, hessian, step):
    return gradient @ step + 0.5 * step @ hessian @ step + penalty.rough_value(point + step)


@each_penalty
@pytest.mark.parametrize("rank", [SIZE, SIZE - 3])
@pytest.mark.parametrize("seed", range(10))
def test_no_prox_step_lowers_the_model_further(penalty, rank, seed):
    point, gradient, hessian = model(seed, rank)
    end = point + model_step(penalty, point, gradient, hessian)
    slope = gradient + hessian @ (end - point)
    length = 1.0 / np.linalg.norm(hessian, 2)
    np.testing.assert_allclose(penalty.prox(end - length * slope, length), end, atol=1e-6)
    assert value(penalty, point, gradient, hessian, end - point) <= penalty.rough_value(point) + 1e-12


@each_penalty
@pytest.mark.parametrize("seed", range(10))
def test_on_the_right_face_nothing_is_swept(penalty, seed, monkeypatch):
    point, gradient, hessian = model(seed)
    step = model_step(penalty, point, gradient, hessian)
    end, slope = np.round(point + step, 14), gradient + hessian @ step  # at a wall, not beside it by rounding

    def swept(*arguments):
        raise AssertionError("the face was right")

    monkeypatch.setattr(quadratic, "_sweep", swept)
    free = np.equal(*penalty.slopes(end))
    elsewhere = np.where(free, 0.9 * end, end)  # on the same face
    back = model_step(penalty, elsewhere, slope + hessian @ (elsewhere - end), hessian)
    np.testing.assert_allclose(elsewhere + back, end, atol=1e-7)


@each_penalty
def test_the_point_is_left_as_it_was(penalty):
    point, gradient, hessian = model(0)
    before = point.copy()
    model_step(penalty, point, gradient, hessian)
    np.testing.assert_array_equal(point, before)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_overflow_ends_it(number):
    point, _, hessian = model(0)
    with np.errstate(invalid="ignore", over="ignore"):
        step = model_step(PENALTIES["l1"], point, np.full(SIZE, number), hessian)
    assert not np.isfinite(step).all()
