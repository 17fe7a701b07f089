"""Who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sparkgd
from tests.support.environment import worker_environment

PACKAGE = Path(sparkgd.__file__).parent

BELOW = {
    "losses": set(),
    "penalties": set(),
    "kernels": {"losses", "penalties"},
    "solvers": {"losses", "penalties"},
    "problems": {"solvers", "kernels", "losses", "penalties"},
    "data": {"kernels", "losses"},
    "reductions": {"data", "kernels"},
    "training": {"reductions", "problems", "data", "kernels", "solvers", "losses", "penalties"},
    "engine": {"reductions", "data", "kernels"},
    "ml": {"engine", "reductions", "problems", "data", "training", "kernels", "solvers", "losses", "penalties"},
}
BELOW["classification"] = BELOW["regression"] = BELOW["tuning"] = BELOW["ml"] | {"ml"}
"""For each package those that it may import; everyone may import ``sparkgd.exceptions``."""

SPARK = {"classification", "regression", "tuning", "ml", "engine"}
"""Packages that may import pyspark."""

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Full names of everything that a module imports, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def package_of(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else ""


@pytest.mark.parametrize("path", [m for m in MODULES if package_of(m)], ids=str)
def test_layers_import_downwards_only(path):
    package = package_of(path)
    assert package in BELOW, f"{package} has no place in the layers"
    used = {name.split(".")[1] for name in imports(path) if name.startswith("sparkgd.")}
    assert used <= BELOW[package] | {package, "exceptions"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_the_spark_side_imports_pyspark(path):
    allowed = package_of(path) in SPARK
    assert allowed or not any(name.split(".")[0] == "pyspark" for name in imports(path))


def test_the_layers_have_no_cycle():
    for package, below in BELOW.items():
        assert all(package not in BELOW[other] for other in below)


def loaded_by(statement: str) -> set[str]:
    """Modules in a fresh interpreter after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    environment = {**os.environ, **worker_environment()}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import sparkgd",
        "import sparkgd.questions.gradient, sparkgd.questions.hessian",
        "import sparkgd.losses, sparkgd.penalties, sparkgd.solvers.registry",
        "import sparkgd.training.loop, sparkgd.training.plan, sparkgd.data.blockfile, sparkgd.data.statistics",
    ],
)
def test_what_workers_and_maths_need_loads_no_pyspark(statement):
    assert "pyspark" not in loaded_by(statement)


def test_executor_functions_load_no_pyspark_ml():
    loaded = loaded_by("import sparkgd.engine.cluster, sparkgd.engine.ingest")
    assert "pyspark.ml" not in loaded
    assert "sparkgd.ml" not in loaded


def test_the_package_itself_loads_nothing():
    assert {name for name in loaded_by("import sparkgd") if name.startswith("sparkgd.")} == set()


def test_the_facade_finds_its_modules_and_nothing_else():
    for name in sparkgd.__all__:
        assert getattr(sparkgd, name) is not None
    assert set(sparkgd.__all__) <= set(dir(sparkgd))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sparkgd.nothing  # noqa: B018
