# Two commands for a newcomer: `make demo` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check agents crewai format lint types clean

demo: $(VENV)/.demo
	$(BIN)/python -m examples.demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q

check: $(VENV)/.dev lint types test

# Agent stacks are optional, heavy, and bring test plugins of their own: each has its environment.
agents crewai:
	@$(MAKE) --no-print-directory VENV=.venv-$@ .venv-$@/.$@
	.venv-$@/bin/python -m pytest -q tests/$@

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .venv-agents .venv-crewai out .pytest_cache .mypy_cache .ruff_cache

# The stamp file records which extra is installed; `dev` includes `demo`.
$(VENV)/.dev: pyproject.toml
	@$(call install,dev)
	@touch $(VENV)/.demo $@

$(VENV)/.demo: pyproject.toml
	@$(call install,demo)
	@touch $@

$(VENV)/.agents $(VENV)/.crewai: pyproject.toml
	@$(call install,$(subst .,,$(notdir $@)))
	@touch $@

define install
if command -v uv >/dev/null 2>&1; then \
  echo "Setting up $(VENV) with uv ($(1))"; \
  { test -x $(BIN)/python || uv venv --quiet --python '>=3.11' $(VENV); } && \
  uv pip install --quiet --python $(BIN)/python -e '.[$(1)]'; \
else \
  command -v $(PYTHON) >/dev/null 2>&1 && \
  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
    echo "Python 3.11 or newer is needed; name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }; \
  echo "Setting up $(VENV) with venv and pip ($(1)); this takes a minute or two"; \
  { test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); } && \
  $(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(1)]'; \
fi
endef
