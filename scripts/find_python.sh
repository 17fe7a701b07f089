#!/bin/sh
# Prints the first of the named Pythons (default: python3, then the versions by name) that is 3.10 or newer. As root on
# Debian or Ubuntu it installs the venv module where only that is missing. Otherwise one line says what to install, and
# the exit code is 1.
set -eu

[ $# -gt 0 ] || set -- python3 python3.13 python3.12 python3.11 python3.10

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

can_make_venvs() { command -v uv >/dev/null || "$1" -c 'import ensurepip, venv' 2>/dev/null; }

install_venv() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "$1 has no venv module; installing $package with apt-get" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } >&2
}

incomplete=
for python in "$@"; do
    is_new_enough "$python" || continue
    if can_make_venvs "$python"; then
        command -v "$python"
        exit
    fi
    incomplete=${incomplete:-$python}
done

if [ -z "$incomplete" ]; then
    echo "Python 3.10 or newer was not found (tried: $*): install one" >&2
elif install_venv "$incomplete"; then
    command -v "$incomplete"
    exit
else
    echo "$incomplete has no venv module: install it (Debian, Ubuntu: python3-venv), or uv" >&2
fi
exit 1
