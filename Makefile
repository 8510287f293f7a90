# The whole developer's day. Needs Python 3.11 or newer and make; everything else is installed into .venv.
#
#   make demo           a rich atlas to look at, then one built here, from packaged photos with the packaged network
#   make test           all tests, the browser's too
#   make setup          what `make test` installs, without the tests
#   make lint           style, types, and the direction of imports
#   make test-ray       builds on a Ray cluster of this machine, whose workers are killed
#   make e2e            the browser's tests alone
#   make test-docs      tutorial and how-tos: every command and block that they show is run
#   make matrix         a tiny atlas of each of 29 architectures of timm and torchvision
#   make notebooks      notebooks/, each from top to bottom
#   make bench          benchmarks/, each against a peer; real photos by ACTATLAS_PHOTOS
#   make bench-icons    icons alone: tables, contact sheets and curves in bench-icons/
#   make docs           docs/cli.md anew, from the commands themselves, and the documentation site in build/docs
#   make test-base      the wheel without extras, in an empty environment
#   make shipped-atlas  the atlas in the package anew, from the photos in ACTATLAS_PHOTOS

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
PINS := pyproject.toml constraints.txt
DEMO_OUT ?= demo-atlas
ICONS_OUT ?= bench-icons
PHOTOS := $(or $(ACTATLAS_PHOTOS),$(firstword $(wildcard ../*/images/imagenet-sample)))
BENCHMARKS := collecting attribution attribution_judges whole_build alignment
TEST_ARGS ?=
# Over the cores: by `loadfile` what a file's tests share is made once.
PYTEST := OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --strict-skips
SPREAD := -n auto --maxprocesses 4 --dist

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-docs test-ray matrix e2e notebooks bench bench-icons lint docs test-base shipped-atlas clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(VENV)/.has-dev

demo: $(VENV)/.has-demo
	$(BIN)/actatlas demo
	$(BIN)/actatlas build packaged:demo --crops 4 --positions 4 --out $(DEMO_OUT)

test: $(VENV)/.has-dev
	@sh tools/find_chromium.sh || true
	@sh tools/find_firefox.sh || true
	$(PYTEST) $(SPREAD) loadfile --ignore=tests/test_docs_run.py --ignore=tests/matrix --ignore=tests/executors $(TEST_ARGS)

# As a reader would: it builds real atlases, so it has minutes of its own.
test-docs: $(VENV)/.has-dev
	$(PYTEST) tests/test_docs_run.py

# A cluster is half a dozen processes: one at a time, beside nothing else.
test-ray: $(VENV)/.has-dev
	$(PYTEST) tests/executors $(TEST_ARGS)

# Each is loaded, collected and painted: minutes of its own too.
matrix: $(VENV)/.has-dev
	$(PYTEST) $(SPREAD) load tests/matrix $(TEST_ARGS)

e2e: $(VENV)/.has-dev
	@sh tools/find_chromium.sh
	@sh tools/find_firefox.sh || true
	$(PYTEST) $(SPREAD) loadfile tests/browser $(TEST_ARGS)

# In a copy, so that what they build lies beside no source; nothing is kept from a run before.
notebooks: $(VENV)/.has-dev
	rm -rf build/notebooks && mkdir -p build && cp -r notebooks build/notebooks
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --nbmake --nbmake-timeout=600 --durations=0 -p no:cacheprovider build/notebooks

lint: $(VENV)/.has-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.has-dev
	$(BIN)/python tools/write_cli_docs.py docs/cli.md
	$(BIN)/python tools/build_docs_site.py

bench: $(VENV)/.has-bench
	@test -n "$(PHOTOS)" || { echo "actatlas: no photos: set ACTATLAS_PHOTOS to a folder of them" >&2; exit 3; }
	@set -e; for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; ACTATLAS_PHOTOS="$(PHOTOS)" $(BIN)/python benchmarks/$$name.py; done

bench-icons: $(VENV)/.has-bench
	@test -n "$(PHOTOS)" || { echo "actatlas: no photos: set ACTATLAS_PHOTOS to a folder of them" >&2; exit 3; }
	ACTATLAS_PHOTOS="$(PHOTOS)" $(BIN)/python benchmarks/icons.py --curves --out $(ICONS_OUT)
	$(BIN)/python benchmarks/icon_curves.py $(ICONS_OUT)/icons.json -o $(ICONS_OUT)/curves.png

test-base: $(VENV)/.has-dev
	sh tests/base/check_base.sh

shipped-atlas: $(VENV)/.has-dev
	@test -n "$(PHOTOS)" || { echo "actatlas: no photos: set ACTATLAS_PHOTOS to a folder of them" >&2; exit 3; }
	$(BIN)/python -m actatlas.demo.rebuild "$(PHOTOS)"

clean:
	rm -rf $(VENV) build dist

# One environment, three sets of packages, each holding the ones before; a stamp says which are there.

$(VENV)/.made:
	@python=$$(PYTHON="$(PYTHON)" sh tools/find_python.sh) || exit 1; \
	echo "$$python -m venv $(VENV)"; "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/.has-demo: $(VENV)/.made $(PINS)
	$(PIP) install -c constraints.txt -e '.[build,photos]'
	@touch $@

$(VENV)/.has-dev: $(VENV)/.made $(PINS)
	$(PIP) install -c constraints.txt -e '.[build,timm,hf,tsne,torchdr,photos,notebook,parquet,datasets,s3,figures,ray,docs,dev]'
	@touch $(VENV)/.has-demo $@

$(VENV)/.has-bench: $(VENV)/.made $(PINS)
	$(PIP) install -c constraints.txt -e '.[build,timm,hf,tsne,torchdr,photos,notebook,parquet,datasets,s3,figures,ray,docs,dev,bench]'
	@touch $(VENV)/.has-demo $(VENV)/.has-dev $@
