# Needs Python 3.11 or newer, and make. Everything is installed into .venv here, nothing elsewhere.
.DEFAULT_GOAL := help
.PHONY: help demo test clean
.DELETE_ON_ERROR:

# A .venv holds absolute paths: one that came along with a copied or moved folder is made anew.
ifneq ($(shell test "$$(cat .venv/.place 2>/dev/null)" = "$$(pwd -P)" && echo here),here)
.PHONY: .venv/.place
endif

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

demo: .venv/.demo ## install runs into .venv and show it at work on a simulated fleet
	@.venv/bin/runs demo

test: .venv/.tox ## every check: style, types, tests
	@.venv/bin/tox run -e lint,types,py

clean: ## remove what these commands made
	rm -rf .venv .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/.demo: .venv/.place runs_core/pyproject.toml runs_cli/pyproject.toml runs_plugins/budgets/pyproject.toml runs_plugins/borrowing/pyproject.toml
	@echo "Installing runs into .venv …"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -e ./runs_core -e './runs_cli[charts]' -e ./runs_plugins/budgets -e ./runs_plugins/borrowing
	@touch .venv/.demo

# tox does not look into the pyproject.toml of what it installs editable: what one of them asks for anew needs new environments.
.venv/.tox: .venv/.place runs_core/pyproject.toml runs_cli/pyproject.toml runs_plugins/budgets/pyproject.toml runs_plugins/borrowing/pyproject.toml tests/requirements.txt
	@rm -rf .tox
	@echo "Installing tox into .venv …"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check 'tox>=4.30,<5' 'tox-uv>=1.29,<2'
	@touch .venv/.tox

# PYTHON=… names the interpreter; else the first of these that is new enough and can make an environment.
.venv/.place:
	@for python in "$${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    rm -rf .venv .tox && "$$python" -m venv .venv && pwd -P > .venv/.place && exit 0; \
	    rm -rf .venv; exit 1; \
	  fi; \
	done; \
	echo "runs needs Python 3.11 or newer with its venv module, and none of python3, python3.13, python3.12, python3.11 here is one: install it (Debian: apt-get install python3-venv) or name it with make PYTHON=/path/to/python." >&2; \
	exit 1
