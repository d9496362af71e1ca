# Two commands for a newcomer: `make demo` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-agents test-crewai check format lint types clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q

# Agent stacks are optional, heavy and pin what they need: each has an environment of its own.
test-agents test-crewai: test-%: .venv-%/.ready
	.venv-$*/bin/python -m pytest -q tests/with_$*

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
	rm -rf $(VENV) .venv-agents .venv-crewai out .pytest_cache .mypy_cache .ruff_cache

# The stamp file records which extra is installed; `dev` includes `demo`.
$(VENV)/.dev: pyproject.toml
	@$(call install,$(VENV),dev)
	@touch $(VENV)/.demo $@

$(VENV)/.demo: pyproject.toml
	@$(call install,$(VENV),demo)
	@touch $@

.venv-%/.ready: pyproject.toml
	@$(call install,.venv-$*,test-$*)
	@touch $@

# $(1): the environment, $(2): an extra of this package
define install
if command -v uv >/dev/null 2>&1; then \
  echo "Setting up $(1) with uv ($(2))"; \
  { test -x $(1)/bin/python || uv venv --quiet --python '>=3.11' $(1); } && \
  uv pip install --quiet --python $(1)/bin/python -e '.[$(2)]'; \
else \
  command -v $(PYTHON) >/dev/null 2>&1 && \
  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }; \
  echo "Setting up $(1) with venv and pip ($(2)); this takes a minute or two"; \
  { test -x $(1)/bin/python || $(PYTHON) -m venv $(1); } && \
  $(1)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(2)]'; \
fi
endef
