# Every target makes its own environment first: nothing needs to be installed by hand but Python 3.11+ and make.
PYTHON ?= python3
STAGE ?= dev
BIN := .venv/bin

.PHONY: run test check contract lint types bench package clean help

help: ## What there is to do
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/ready ## The whole product at home: http://127.0.0.1:8000 (PORT=0: any free port; DEMO=0: empty)
	@$(BIN)/python -m local.run

test: .venv/ready ## The tests, on every core; each worker has an AWS of its own
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

check: lint types test ## What CI runs: lint, types, house rules, tests

contract: .venv/ready ## The running product held against its /openapi.json, for about two minutes (SEED=1)
	@$(BIN)/python -m local.contract

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

bench: .venv/ready ## Speed and write units of posting, the gate, imports: measured, beside a naive rival
	$(BIN)/python -m bench

package: .venv/ready ## The Lambda's zip and its CloudFormation template, in build/
	$(BIN)/python -m local.package build $(STAGE)

clean: ## Forget the environment, the builds and the state of the product at home
	rm -rf .venv build .state .run.json

.venv/ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Rebill needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Making the environment in .venv (once; takes about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch .venv/ready
