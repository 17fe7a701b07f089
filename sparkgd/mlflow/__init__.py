"""What MLflow needs to know about sparkgd. Models are logged and loaded as those of ``pyspark.ml`` are.

``mlflow.spark.log_model``, ``mlflow.spark.load_model`` and ``mlflow.pyspark.ml.autolog`` work on them; MLflow itself is
imported only when something is logged.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sparkgd.training.loop import Record

__all__ = ["ALLOWLIST_FILE", "LogRounds", "allowlist"]

ALLOWLIST_FILE = str(Path(__file__).with_name("allowlist.txt"))
"""Names of the models that ``mlflow.pyspark.ml.autolog()`` may log, for the session's setting
``spark.mlflow.pysparkml.autolog.logModelAllowlistFile``.
"""


def allowlist() -> list[str]:
    """The same names as a list, for ``mlflow.pyspark.ml.autolog(log_model_allowlist=allowlist())``."""
    lines = resources.files(__name__).joinpath("allowlist.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True)
class LogRounds:
    """A callback that logs every round as metrics of an MLflow run, the number of the round being the step.

    They are ``objective``, ``gradient_norm``, ``validation_loss`` where there are validation rows, and
    ``round_seconds``. The rounds that prepare those over all rows have no objective yet. Of models that are trained
    together all but the first have their position in the names: ``objective_1``.

    Parameters
    ----------
    run_id : str, optional
        Of the run; default: the one that is active in each round, without which nothing is logged.

    Examples
    --------
    >>> with mlflow.start_run():  # doctest: +SKIP
    ...     estimator.setCallbacks([LogRounds()]).fit(df)
    """

    run_id: str | None = None

    def __call__(self, record: Record) -> None:
        """Log a round.

        Raises
        ------
        ImportError
            If MLflow is not installed.
        """
        import mlflow
        from mlflow.entities import Metric

        run = mlflow.active_run() if self.run_id is None else None
        run_id = self.run_id or (run and run.info.run_id)
        if run_id is None:
            return
        values = {
            "objective": record.objective,
            "gradient_norm": record.gradient_norm,
            "validation_loss": record.held_out_loss,
            "round_seconds": record.seconds,
        }
        suffix = f"_{record.model}" if record.model else ""
        now = int(1000 * time.time())
        metrics = [Metric(f"{name}{suffix}", v, now, record.round) for name, v in values.items() if math.isfinite(v)]
        mlflow.MlflowClient().log_batch(run_id, metrics=metrics)
