"""sparkgd: linear models on Apache Spark by distributed gradient descent.

The package is a lazy facade (PEP 562): ``import sparkgd`` loads nothing else, so that a Python worker which needs one
kernel does not pay for importing ``pyspark.ml``.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_SUBMODULES = (
    "classification",
    "exceptions",
    "losses",
    "mlflow",
    "mllib",
    "penalties",
    "regression",
    "solvers",
    "tuning",
)

__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
