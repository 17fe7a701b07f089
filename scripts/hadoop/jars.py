"""The jars of Hadoop's daemons: those of pyspark, and what Maven fetches once of the same version."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

MAVEN_SECONDS = 600
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
BOUNCY_CASTLE = [f"org.bouncycastle:{name}-jdk18on:1.82" for name in ("bcprov", "bcpkix", "bcutil")]
"""The ResourceManager makes certificates with it; Hadoop's one jar for tests leaves it out."""


class Unavailable(Exception):
    """Why there can be no cluster on this machine."""


def spark_jars() -> Path:
    """The directory of pyspark's jars."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise Unavailable("pyspark is not installed")
    return Path(found.origin).parent / "jars"


def hadoop_version() -> str:
    """Of the client that pyspark ships."""
    names = [path.stem for path in spark_jars().glob("hadoop-client-runtime-*.jar")]
    if len(names) != 1:
        raise Unavailable(f"pyspark ships no Hadoop client in {spark_jars()}")
    return names[0].removeprefix("hadoop-client-runtime-")


def hadoop_jars() -> list[Path]:
    """The daemons, from the cache or else from Maven.

    Raises
    ------
    Unavailable
        If there is no ``mvn``, or it does not get them.
    """
    version = hadoop_version()
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = root / "sparkgd" / f"hadoop-{version}"
    artifacts = [f"org.apache.hadoop:hadoop-client-minicluster:{version}", *BOUNCY_CASTLE]
    return [_jar(artifact, cache) for artifact in artifacts]


def _jar(artifact: str, cache: Path) -> Path:
    _, name, version = artifact.split(":")
    jar = cache / f"{name}-{version}.jar"
    if jar.exists():
        return jar
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"{artifact} is not in {cache}, and there is no mvn to fetch it")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as draft:
        command = [maven, "-B", "-q", COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={draft}"]
        try:
            run = subprocess.run(
                command, cwd=draft, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAVEN_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"mvn did not get {artifact} within {MAVEN_SECONDS} s") from error
        fetched = Path(draft, jar.name)
        if run.returncode or not fetched.exists():
            reason = next((line for line in run.stdout.splitlines() if "ERROR" in line), f"exit code {run.returncode}")
            raise Unavailable(f"mvn cannot get {artifact}: {reason}")
        fetched.replace(jar)
    return jar


def java() -> str:
    """The Java of ``JAVA_HOME``, or that of the path."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if found is None:
        raise Unavailable("there is no Java")
    return found
