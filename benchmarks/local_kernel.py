"""Rows per second of the compiled local epoch beside scikit-learn's ``SGDClassifier``, on one core.

    python -m benchmarks.local_kernel --output local_kernel

Both make `EPOCHS` passes of logistic SGD with L2 over the same CSR rows in random order, in one process, alternating;
quoted are medians. Everything that a call does is counted: on our side the order of the rows, scaled and centred
columns, averaging of the last iterates and the information of each column, on scikit-learn's the check of its input.
Our steps do more for each value: scikit-learn's has neither scales nor centring.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from benchmarks.passes import shuffled
from benchmarks.reference_problems import blocks_of, settings_of
from sparkgd.kernels import Block
from sparkgd.questions.epochs import EpochKernel
from tests.support.datasets import Problem, all_problems
from tests.support.plans import final_stage, first_state, training_set

DATASETS = ("a9a", "kdd99", "imdb")
REG = "logistic_l2_0.0001"
EPOCHS = 5
RESULTS = Path(__file__).parent / "results"


def local_epochs(problem: Problem, blocks: list[Block], solver: str) -> tuple[EpochKernel, Block]:
    """The kernel of a solver's first epochs (localSGD), and all rows in one block."""
    features = sparse.vstack([sparse.csr_array(block.features._matrix()) for block in blocks]).tocsr()
    values = type(blocks[0].features)(
        features.data, features.indices.astype(np.int32), features.indptr.astype(np.int64), features.shape[1]
    )
    label = np.concatenate([block.label for block in blocks])
    block = Block(values, label, np.ones(len(label)))
    data = training_set([block])
    final = final_stage(settings_of(problem, data.statistics, solver), data)
    question = final.solver.ask(first_state(final)).questions[1]
    return replace(question, epochs=EPOCHS).kernel(final.problem), block


def seconds_of(run: Callable[[], object]) -> float:
    """Of this process's CPU: others may be at work on the machine."""
    began = time.process_time()
    run()
    return time.process_time() - began


def compared(problem: Problem, repeats: int) -> str:
    """A line of the table."""
    kernel, block = local_epochs(problem, shuffled(blocks_of(problem)), "localSGD")
    features, label = block.features, block.label
    narrow = (features.values, features.indices, features.indptr.astype(np.int32))  # as scikit-learn wants them
    rows = sparse.csr_matrix(narrow, shape=(features.rows, features.num_features))
    rival = SGDClassifier(loss="log_loss", alpha=problem.reg, max_iter=EPOCHS, tol=None, random_state=0)
    ours, theirs = (lambda: kernel(block)), (lambda: rival.fit(rows, label))
    ours(), theirs()
    pairs = np.array([(seconds_of(ours), seconds_of(theirs)) for _ in range(repeats)])
    speeds = EPOCHS * block.rows / np.median(pairs, axis=0) / 1e6
    low, ratio, high = np.quantile(pairs[:, 1] / pairs[:, 0], (0.25, 0.5, 0.75))
    size = f"{block.rows} x {block.features.num_features} | {block.features.stored / block.rows:.0f}"
    return f"| {problem.dataset} | {size} | {speeds[0]:.2f} | {speeds[1]:.2f} | {ratio:.2f} ({low:.2f}-{high:.2f}) |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--output", help="name of the file under benchmarks/results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [
        "| data | rows x columns | values a row | sparkgd, million rows a second | scikit-learn | ratio (quartiles) |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for problem in [p for p in all_problems() if p.id in {f"{name}.{REG}" for name in DATASETS}]:
        lines.append(compared(problem, options.repeats))
        print(lines[-1], flush=True)
    if options.output:
        text = "# Local epochs beside scikit-learn\n\n" + (__doc__ or "") + "\n" + "\n".join(lines) + "\n"
        (RESULTS / f"{options.output}.md").write_text(text)


if __name__ == "__main__":
    main()
