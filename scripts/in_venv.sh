#!/bin/sh
# in_venv.sh VENV COMMAND...: runs a command with the Python and Spark of a virtual environment and the Java that was
# found. SPARK_HOME and PYTHONPATH of another Spark would otherwise be used in place of the one in the environment.
set -eu
bin=$(cd "$1/bin" && pwd)
shift
JAVA_HOME=$("$(dirname "$0")/find_java.sh")
PATH=$bin:$PATH
PYSPARK_PYTHON=$bin/python
PYSPARK_DRIVER_PYTHON=$bin/python
export JAVA_HOME PATH PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON
unset SPARK_HOME PYTHONPATH
exec "$@"
