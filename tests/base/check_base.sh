#!/bin/sh
# The wheel, without extras, in an empty environment: what looks at atlases must work there. Run by `make test-base`.
set -eu
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$(sh tools/find_python.sh)

"$python" -m venv "$work/venv"
pip="$work/venv/bin/python -m pip --disable-pip-version-check --no-input --quiet"
$pip wheel --no-deps --wheel-dir "$work/wheel" .
$pip install -c constraints.txt "$work"/wheel/actatlas-*.whl

# Out of the checkout, so that nothing of it can be imported by chance.
cp tests/base/check_base.py "$work/"
cd "$work"
venv/bin/python -I check_base.py venv/bin/actatlas
