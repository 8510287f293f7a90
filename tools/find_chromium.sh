#!/bin/sh
# Finds a chromium for the browser's tests, installs one where that is possible, or says what is missing. Needs .venv.
# Order: what is there, Debian's package (as root), Playwright's own build. tests/conftest.py looks in the same places.
set -u

runs() {
    command -v "$1" >/dev/null 2>&1 && "$1" --version >/dev/null 2>&1
}

present() {
    for name in ${ACTATLAS_CHROMIUM:-} chromium chromium-browser google-chrome; do
        runs "$name" && return 0
    done
    own=$(.venv/bin/python -c '
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)' 2>/dev/null)
    [ -n "$own" ] && runs "$own"
}

present && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "actatlas: no chromium found; installing Debian's package for the browser's tests" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null >&2
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core </dev/null >&2
    present && exit 0
fi
echo "actatlas: no chromium found; asking Playwright for its own build" >&2
.venv/bin/playwright install chromium </dev/null >&2
present && exit 0
echo "actatlas: chromium is missing: the browser's tests (tests/browser) will be skipped and 'make test' will fail. Install chromium, or point ACTATLAS_CHROMIUM at one." >&2
exit 1
