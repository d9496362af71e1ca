# Two commands for a newcomer: `make demo` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NEWEST = $(shell .ci/newest-python $(PYTHON))
WORKERS ?= auto
PYTEST := -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist worksteal

.PHONY: demo test test-all test-lowest test-newest test-agents test-crewai
.PHONY: test-deerflow check format lint types clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.demo

test: $(VENV)/.dev
	$(BIN)/python $(PYTEST)

# The same tests with many more generated cases.
test-all: $(VENV)/.dev
	CASES=all CONFORMANCE=1 $(BIN)/python $(PYTEST)

# The lowest versions that pyproject.toml allows.
test-lowest: .venv-lowest/.ready
	.venv-lowest/bin/python $(PYTEST) tests/unit

# The newest Python on this machine, where it is newer than the usual one.
.SECONDEXPANSION:
test-newest: $$(if $$(NEWEST),.venv-newest/.ready)
	$(if $(NEWEST),$(NEWEST) -V,@echo "No Python newer than $$($(PYTHON) -V) was found; nothing ran.")
	$(if $(NEWEST),.venv-newest/bin/python $(PYTEST) tests/unit tests/property)

# Agent stacks are optional, heavy and pin what they need: each has an environment of its own.
test-agents test-crewai: test-%: .venv-%/.ready
	.venv-$*/bin/python -m pytest -q tests/with_$*

# DeerFlow is on no registry: a graph of its shape, and with DEERFLOW=PATH one that is checked out.
test-deerflow: $(VENV)/.dev
	$(BIN)/python $(PYTEST) tests/unit/adapters tests/property/test_deerflow_plans.py -k deerflow
	$(if $(DEERFLOW),PYTHONPATH=. $(PYTHON) tests/deerflow_checkout.py $(DEERFLOW),@echo "DEERFLOW=PATH runs a checkout as well.")

check: $(VENV)/.dev lint types test

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .venv-agents .venv-crewai .venv-lowest .venv-newest out .pytest_cache .mypy_cache .ruff_cache

# The stamp file records which extra is installed; `dev` includes `demo`.
$(VENV)/.dev: pyproject.toml
	@$(call install,$(VENV),dev)
	@touch $(VENV)/.demo $@

$(VENV)/.demo: pyproject.toml
	@$(call install,$(VENV),demo)
	@touch $@

.venv-newest/.ready: pyproject.toml
	@$(call install,.venv-newest,test,$(NEWEST))
	@touch $@

# Only uv can choose the lowest versions; where it is missing, it comes into this environment.
.venv-lowest/.ready: pyproject.toml
	@$(MAKE) .venv-lowest/bin/uv
	@echo "Setting up .venv-lowest with uv (test, lowest versions)"
	@.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python \
	  --resolution lowest-direct -e '.[test]'
	@touch $@

.venv-lowest/bin/uv:
	@$(PYTHON) -m venv .venv-lowest
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check uv

.venv-%/.ready: pyproject.toml
	@$(call install,.venv-$*,test-$*)
	@touch $@

# $(1): the environment, $(2): an extra of this package, $(3): its Python where that is given
define install
if command -v uv >/dev/null 2>&1; then \
  echo "Setting up $(1) with uv ($(2))"; \
  { test -x $(1)/bin/python || uv venv --quiet --python '$(or $(3),>=3.11)' $(1); } && \
  uv pip install --quiet --python $(1)/bin/python -e '.[$(2)]'; \
else \
  python=$(or $(3),$(PYTHON)); \
  command -v $$python >/dev/null 2>&1 && \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }; \
  echo "Setting up $(1) with venv and pip ($(2)); this takes a minute or two"; \
  { test -x $(1)/bin/python || $$python -m venv $(1); } && \
  $(1)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(2)]'; \
fi
endef
