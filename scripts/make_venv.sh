#!/bin/sh
# make_venv.sh PYTHON VENV [CONSTRAINTS]: installs sparkgd, editable and with its development tools, into a virtual
# environment, which is made if there is none.
set -eu
python=$1 venv=$2
shift 2
[ $# -eq 0 ] || set -- -c "$1"
set -- "$@" -e '.[dev]'

echo "Installing sparkgd and what it needs into $venv (once; some minutes)"
if command -v uv >/dev/null; then
    [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
    uv pip install --quiet --python "$venv/bin/python" "$@"
else
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
fi
