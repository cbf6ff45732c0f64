# Every target makes its own environment first: nothing needs to be installed by hand but Python 3.11+ and make.
PYTHON ?= python3
STAGE ?= dev
BIN := .venv/bin

.PHONY: run stage test deployed rights check contract lint types bench pictures package deploy doctor lock clean help

help: ## What there is to do
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/ready ## The whole product at home: http://127.0.0.1:8000 (PORT=0: any free port; DEMO=0: empty)
	@$(BIN)/python -m local.run

stage: .venv/ready ## What would go to AWS, deployed at home: Lambdas with their rights, behind API Gateway (Ctrl-C ends it)
	@$(BIN)/python -m local.stage

test: .venv/ready ## The tests, on every core; each worker has an AWS of its own
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal --ignore tests/deployed

deployed: .venv/ready ## The tests of what would go to AWS, on a stage of its own behind API Gateway (90 s, most of it waiting)
	$(BIN)/python -m pytest tests/deployed

rights: .venv/ready ## On the deployed stage: every statement is taken out of every role, and must be missed (three minutes)
	$(BIN)/python -m pytest tests/deployed/test_rights.py --every-right

check: lint types ## What CI runs: lint, types, house rules, tests, and beside them those of the deployed stage
	@$(MAKE) --no-print-directory -j2 test deployed

contract: .venv/ready ## The running product held against its /openapi.json, for about two minutes (SEED=1)
	@$(BIN)/python -m local.contract

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy

bench: .venv/ready ## Speed and write units of posting, the gate, imports, pages: measured, beside a rival or a limit
	$(BIN)/python -m bench

pictures: .venv/ready ## Every page of the demo as a picture, in build/pictures/; the README's two anew (CHROMIUM=/path)
	@$(BIN)/python -m local.pictures

package: .venv/ready ## The Lambda's zip and its CloudFormation template, in build/
	$(BIN)/python -m local.package build $(STAGE)
	$(BIN)/cfn-lint build/sam.json

deploy: package ## The package becomes the stage on AWS: what would change is shown, then asked (STAGE=dev, ARGS=--help)
	$(BIN)/python -m ops --stage $(STAGE) deploy build $(ARGS)

doctor: .venv/ready ## Is the stage on AWS set up as it must be? Each trouble with its fix (STAGE=dev)
	@$(BIN)/python -m ops --stage $(STAGE) doctor

lock: .venv/ready ## What is installed here becomes requirements.lock: every package of the Lambda, with its hashes
	@mkdir -p build && grep -v '^chalice==' requirements.txt > build/lambda.in && $(BIN)/pip list --format=freeze > build/here.txt
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-header --no-annotate --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --constraint build/here.txt --output-file requirements.lock build/lambda.in

clean: ## Forget the environment, the builds and the state of the product at home
	rm -rf .venv build .state .run.json

.venv/ready: requirements.txt requirements.lock requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Rebill needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Making the environment in .venv (once; takes about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch .venv/ready
