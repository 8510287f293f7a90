#!/bin/sh
# Prints a Python >= 3.11 that can make virtual environments, or says what is missing.
# PYTHON names one; otherwise the usual names are tried.
set -u

usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

found=""
for name in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
    usable "$name" || continue
    found=$name
    if "$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$name"
        exit 0
    fi
done

if [ -z "$found" ]; then
    echo "actatlas: no Python 3.11 or newer among: ${PYTHON:-python3.11 to python3.14, python3}. Install one, or name it: make PYTHON=/path/to/python3" >&2
else
    echo "actatlas: $found cannot make virtual environments (no ensurepip). On Debian and Ubuntu: apt-get install $(basename "$found")-venv" >&2
fi
exit 1
