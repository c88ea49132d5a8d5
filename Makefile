# make run | test | setup | check | bench — CONTRIBUTING.md says more.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test setup check bench lock clean

run: setup
	$(BIN)/plaza serve $(ARGS)

test: setup
	$(BIN)/pytest -n $${PLAZA_TEST_WORKERS:-auto} $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: setup
	$(BIN)/python -m bench $(ARGS)

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml tests/js/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Plaza needs Python 3.11 or newer; say which with: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	cd tests/js && PATH="$(CURDIR)/$(BIN):$$PATH" sh ../../tools/npm ci --silent --no-audit --no-fund
	@touch $@

# Needs uv (https://docs.astral.sh/uv); the lock names no registry address.
lock:
	uv pip compile --quiet --no-config --universal --generate-hashes --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv tests/js/node_modules .mypy_cache .ruff_cache
