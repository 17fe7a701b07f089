"""Newton's method ends at the walls of bounds, not an ulp beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.penalties import Bounded
from sparkgd.questions import Reply
from sparkgd.solvers.newton import Newton
from sparkgd.training.stopping import Stopping

SIZE = 6


def reply_at(points: np.ndarray, hessian: np.ndarray, optimum: np.ndarray) -> Reply:
    """Of the quadratic with its minimum, without walls, at ``optimum``."""
    moves = points - optimum
    values = 0.5 * np.einsum("mi,ij,mj->m", moves, hessian, moves)
    return Reply(values, moves @ hessian, hessian)


@pytest.mark.parametrize("seed", range(40))
def test_a_full_step_to_walls_stays_within_them(seed):
    """Of a wall w and a point p, ``p + (w - p)`` is not always w: rounding may carry it beyond."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(SIZE, SIZE))
    hessian, optimum = root @ root.T + 0.1 * np.eye(SIZE), 5.0 * rng.normal(size=SIZE)
    low, high = -rng.random(SIZE), rng.random(SIZE)
    solver = Newton(penalty=Bounded(low, high), is_quadratic=True)
    state = solver.start(low + (high - low) * rng.random(SIZE))
    trial = state.point[None, :]
    for _ in range(20):
        state = solver.tell(state, reply_at(trial, hessian, optimum))
        assert np.isfinite(state.promised)
        assert np.isnan(state.gap) or state.gap >= -1e-12 * max(state.value, 1.0)
        trial = solver.ask(state).points
        assert np.all((trial >= low) & (trial <= high))
        if Stopping(100, 1e-9).check(state, [1e3, state.value], (), False) is not None:
            break
    steepest = np.clip(state.point - state.gradient, low, high) - state.point
    np.testing.assert_allclose(steepest, 0.0, atol=1e-8)
