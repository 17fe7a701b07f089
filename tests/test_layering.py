"""Who may import whom, and what importing the package costs."""

from __future__ import annotations

import ast
import os
import re
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
    "problems": {"kernels", "losses", "penalties"},
    "questions": {"problems", "kernels", "losses", "penalties"},
    "solvers": {"questions", "losses", "penalties"},
    "data": {"kernels", "losses"},
    "reductions": {"questions", "problems", "data", "kernels", "losses", "penalties"},
    "training": {"reductions", "solvers", "questions", "problems", "data", "kernels", "losses", "penalties"},
    "engine": {"reductions", "data", "kernels"},
}
BELOW["checkpoints"] = {*BELOW["training"], "training"}
BELOW["ml"] = {"engine", "checkpoints", *BELOW["checkpoints"]}
BELOW["classification"] = BELOW["regression"] = BELOW["tuning"] = BELOW["ml"] | {"ml"}
BELOW["mlflow"] = {"training"}
BELOW["mllib"] = BELOW["classification"] | {"classification", "regression"}
"""For each package those that it may import; everyone may import ``sparkgd.exceptions``."""

SPARK = {"mllib", "classification", "regression", "tuning", "ml", "engine"}
"""Packages that may import pyspark."""

SCORING = Path("ml/scoring.py")
"""The one module outside of the engine that may know of the JVM: models score there."""

HANDLES = re.compile(
    r"RDD|SparkContext|sparkContext|rdd|_j(df|sc|vm|rdd|conf|session|sparkSession|func)|_gateway|_py2java"
)
"""Names of what exists on classic Spark alone, and not with Spark Connect."""

CLASSIC = ("engine", "classic")
"""Where the engine knows of them; `sparkgd.engine.connect` is the like for Spark Connect."""

INTERFACE = ("base", "base.Engine", "base.Packing", "base.PartitionStat", "choice", "choice.packed_rows", "packed",
             "packed.PackedPartition", "files", "files.writable_directory", "files.overwritten", "grouped",
             "grouped.GROUP", "grouped.GroupSpread", "grouped.spread_of_groups")  # fmt: skip
"""What the rest of the library may know of engines."""

MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
ENGINE = [path for path in MODULES if path.parts[0] == "engine"]


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


def names_in(path: Path) -> set[str]:
    """Every name and attribute that a module's code uses, imports included."""
    found = {name.rsplit(".", 1)[-1] for name in imports(path)}
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        found |= {getattr(node, kind) for kind in ("id", "attr") if isinstance(getattr(node, kind, None), str)}
    return found


@pytest.mark.parametrize("path", [m for m in MODULES if m.parts[:2] != CLASSIC and m != SCORING], ids=str)
def test_only_the_classic_engine_and_scoring_know_of_rdds_contexts_and_the_jvm(path):
    assert not {name for name in names_in(path) if HANDLES.fullmatch(name)}
    assert not any(name.split(".")[0] == "py4j" for name in imports(path)), "a client of Spark Connect has none"


@pytest.mark.parametrize("path", [m for m in MODULES if package_of(m) != "engine" and m != SCORING], ids=str)
def test_nothing_above_the_engine_and_scoring_tells_spark_connect_apart(path):
    assert not names_in(path) & {"is_remote", "is_remote_only", "is_connected"}
    assert not any(name.startswith("pyspark.sql.connect") for name in imports(path))


def callers_of(function: str) -> set[Path]:
    """The modules that call a function of that name."""
    calls = {}
    for path in MODULES:
        nodes = [node for node in ast.walk(ast.parse((PACKAGE / path).read_text())) if isinstance(node, ast.Call)]
        calls[path] = {getattr(node.func, "id", getattr(node.func, "attr", "")) for node in nodes}
    return {path for path, names in calls.items() if function in names}


def test_the_loop_has_one_caller_and_alone_tells_plans():
    assert callers_of("train") == callers_of("findings") == {Path("ml/model_fits.py")}
    assert callers_of("run_round") == {Path("training/loop.py")}


def test_a_question_is_known_by_its_file_alone():
    """Neither the round nor the loop nor an engine names one, so that none has to be told of a new one."""
    for path in ("training/rounds.py", "training/loop.py", "training/plan.py", *ENGINE):
        mentioned = {name.rsplit(".", 1)[-1] for name in imports(Path(path)) if name.startswith("sparkgd.questions")}
        assert mentioned <= {"questions", "base", "Answer", "Part", "Question", "rows", "squared_lengths"}, path


def test_engines_share_one_protocol_and_nothing_above_tells_them_apart():
    from sparkgd.engine.base import Engine
    from sparkgd.engine.cluster import ClusterEngine
    from sparkgd.engine.driver import DriverEngine

    assert issubclass(ClusterEngine, Engine)
    assert issubclass(DriverEngine, Engine)
    above = [path for path in MODULES if package_of(path) not in ("", "engine")]
    for path in above:
        used = {name for name in imports(path) if name.startswith("sparkgd.engine.")}
        assert used <= {f"sparkgd.engine.{name}" for name in INTERFACE}, f"{path} imports {used}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_files_stay_small(path):
    assert len((PACKAGE / path).read_text().splitlines()) <= 350


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
        "import sparkgd.training.loop, sparkgd.training.fit, sparkgd.data.blockfile, sparkgd.data.statistics",
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
