#!/bin/sh
# Finds a Firefox for the browser's tests, installs Debian's where that is possible, or says what is missing.
# tests/browser/firefox.py looks in the same places.
set -u

present() {
    for name in ${ACTATLAS_FIREFOX:-} firefox firefox-esr; do
        command -v "$name" >/dev/null 2>&1 && "$name" --version >/dev/null 2>&1 && return 0
    done
    return 1
}

present && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "actatlas: no Firefox found; installing Debian's package for the browser's tests" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null >&2
    apt-get install -y -qq --no-install-recommends firefox-esr </dev/null >&2
    present && exit 0
fi
echo "actatlas: Firefox is missing: tests/browser/test_firefox.py will be skipped. Install it, or point ACTATLAS_FIREFOX at one." >&2
exit 1
