# Two commands do everything: `make demo` and `make test`. Both set up .venv first. `make check` is the
# part of `make test` that takes about a minute.
PYTHON ?= python3
BIN := .venv/bin
FLAGS ?=

# Tests of these start kernels, commands or servers; `make check` leaves them out.
SLOW := attacks browser cli course faults jupyter planted profiling sandbox student support
UNIT := $(filter-out $(SLOW:%=tests/%/) %/__pycache__/,$(wildcard tests/*/))

.PHONY: demo lint check test clean

demo: .venv/installed
	$(BIN)/tito compete demo demo

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/pytest -n 2 -q -m "not slow" $(UNIT)

test: lint
	$(BIN)/pytest -n 3 --dist worksteal --cov --cov-report= $(FLAGS)
	@echo "What ran in the tests' own processes, of statements and of branches:"
	@$(BIN)/coverage report | sed -n '1p;$$p'

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv || \
	  { echo "Python can't make virtual environments here (Debian: apt install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo
