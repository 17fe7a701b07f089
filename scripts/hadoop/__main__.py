"""Run a command beside a Hadoop cluster: ``python -m scripts.hadoop [--put LOCAL REMOTE]... COMMAND...``.

Starts the cluster, copies files into HDFS, runs the command, in which ``spark-submit`` finds the cluster, and stops it.
The exit code is the command's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.hadoop.cluster import HadoopCluster
from scripts.hadoop.jars import Unavailable, hadoop_version
from scripts.hadoop.settings import NODES


def main() -> int:
    """Run a command beside the cluster."""
    parser = argparse.ArgumentParser(
        "python -m scripts.hadoop", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--put", nargs=2, action="append", default=[], metavar=("LOCAL", "REMOTE"), help="copy a file")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("a command is missing")
    with tempfile.TemporaryDirectory(prefix="hadoop-") as scratch:
        try:
            cluster = HadoopCluster(Path(scratch))
        except Unavailable as reason:
            print(f"no Hadoop cluster: {reason}", file=sys.stderr)
            return 1
        print(f"starting HDFS and YARN, Hadoop {hadoop_version()}, {NODES} nodes each", file=sys.stderr, flush=True)
        with cluster:
            for local, remote in options.put:
                cluster.shell("-put", str(Path(local).resolve()), remote)
            environment = {"PYSPARK_PYTHON": sys.executable, **os.environ, **cluster.environment()}
            return subprocess.run(options.command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
