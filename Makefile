# Everything a person types. `make` alone lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CHECKS := .venv-deploy
SITE   := .venv-docs
ARGS   ?=
PROFILE ?=
# With a profile, the files that have it; without one, what .env says.
FILES = $(if $(findstring tls,$(PROFILE)),compose.tls.yaml) \
	$(if $(filter monitoring,$(PROFILE)),compose.monitoring.yaml)
COMPOSE = docker compose $(if $(strip $(FILES)),$(addprefix --file ,compose.yaml $(FILES))) \
	$(addprefix --profile ,$(PROFILE))
WATCHED = $(COMPOSE) config --services | grep -qx grafana

# Install the locked packages of a purpose, by hash; builds none, so it needs no build tools.
define INSTALL
	@$(BIN)/python deploy/locked.py $(1) > $(VENV)/locked.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --only-binary :all: --requirement $(VENV)/locked.txt
endef

.DEFAULT_GOAL := help
.PHONY: help install run test test-all test-training test-docker docs build up down fuzz check check-deploy fix bench bench-draft bench-compare soak reports lock clean

help: ## List these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

install: $(VENV)/.ready-run ## Install whatsit into .venv

run: install ## Start the page and the API on http://localhost:8501
	@exec $(BIN)/whatsit serve $(ARGS)

test: $(VENV)/.ready-test ## Run the everyday tests, a real browser included (ARGS="-k cache")
	@$(BIN)/python scripts/install_browser.py
	@$(BIN)/python scripts/run_tests.py $(ARGS)

test-all: $(VENV)/.ready-training ## Run all tests: attacks, faults, Terraform and training as well
	@$(BIN)/python scripts/install_browser.py
	@$(BIN)/python scripts/run_tests.py --all $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m tests.hostile.fuzz 0.5)

build: ## Build the image of the app from this folder
	@docker compose --file compose.yaml --file compose.build.yaml build app

up: ## Start app and Redis in containers, on http://localhost:8501 (PROFILE="tls monitoring")
	@if $(WATCHED); then sh deploy/monitoring/secrets.sh $${WHATSIT_SECRETS:-.secrets}; fi
	@if [ "$$($(COMPOSE) config --images app)" = whatsit ] \
		&& ! docker image inspect whatsit >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory build; fi
	@$(COMPOSE) up --detach --wait --no-build $(ARGS)
	@if $(WATCHED); then sh deploy/monitoring/key.sh $${WHATSIT_SECRETS:-.secrets}; fi

down: ## Stop the containers, those of all profiles; their volumes stay
	@docker compose --file compose.yaml --file compose.tls.yaml --file compose.monitoring.yaml \
		--profile '*' down $(ARGS)

test-docker: build $(VENV)/.ready-test ## Build the image and test the containers (needs Docker)
	@$(BIN)/python -m pytest -m docker -s -p no:randomly $(ARGS)

test-training: $(VENV)/.ready-training ## Train, quantise and import models (installs TensorFlow)
	@$(BIN)/python -m pytest -m training tests/training tests/azure_ml $(ARGS)

fuzz: $(VENV)/.ready-test ## Try to break the decoders and the form parser (ARGS=10 for ten minutes)
	@$(BIN)/python -m tests.hostile.fuzz $(or $(ARGS),5)

check: $(VENV)/.ready-check ## Check format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PATH=$(CURDIR)/$(BIN):$$PATH node_modules/.bin/biome check --error-on-warnings
	@PATH=$(CURDIR)/$(BIN):$$PATH node_modules/.bin/tsc

check-deploy: $(CHECKS)/.ready ## Check image, compose file, workflows, scripts and Terraform
	@deploy/scripts/check.sh $(CHECKS)/bin

docs: $(SITE)/.ready ## Build the documentation site into site/ (ARGS=https://ADDRESS/)
	@$(SITE)/bin/python scripts/build_site.py $(ARGS)

fix: $(VENV)/.ready-check ## Repair format and what lint can repair
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@PATH=$(CURDIR)/$(BIN):$$PATH node_modules/.bin/biome check --write

bench: $(VENV)/.ready-test ## Measure speed and memory, side by side with their floors
	@$(BIN)/python -m bench $(ARGS)

bench-draft: $(VENV)/.ready-test ## Measure what decoding JPEGs at reduced size gains and costs
	@$(BIN)/python -m bench.draft

bench-compare: $(VENV)/.ready-test ## Measure this checkout beside another (OTHER=../before, installed there)
	@$(BIN)/python -m bench.compare $(OTHER) $(ARGS)

soak: $(VENV)/.ready-test ## Watch memory under ten minutes of mixed load (ARGS="--minutes 2")
	@$(BIN)/python scripts/install_browser.py
	@$(BIN)/python -m bench.soak $(ARGS)

reports: $(VENV)/.ready-test ## Measure answers, odd pictures and heat maps again, into docs/reports
	@for study in answers odd_pictures heat_maps; do \
		$(BIN)/python -m scripts.study_$$study --shared $${WHATSIT_SHARED:-../shared}; done

lock: $(VENV)/.ready-check ## Resolve all dependencies again, into constraints.txt and requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --all-extras \
		--no-annotate --no-header --output-file constraints.txt
	@$(BIN)/python scripts/lock.py
	@$(BIN)/uv pip compile deploy/checks.in --quiet --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --output-file deploy/checks.txt
	@$(BIN)/uv pip compile deploy/site.in --quiet --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --output-file deploy/site.txt

clean: ## Remove what was installed and what tests left
	rm -rf $(VENV) $(CHECKS) $(SITE) site node_modules .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
		sys.exit(0 if (3, 11) <= v < (3, 14) else "whatsit needs Python 3.11, 3.12 or 3.13, this is %d.%d. Say which: make PYTHON=python3.12 ..." % v)'
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready-run: $(VENV)/pyvenv.cfg pyproject.toml requirements.lock
	@echo "Installing whatsit and what it needs, once; this takes a minute or two ..."
	$(call INSTALL,run build)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index \
		--no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready-run
	@echo "Installing what the tests need ..."
	$(call INSTALL,test)
	@touch $@

$(VENV)/.ready-training: $(VENV)/.ready-test
	@echo "Installing what training needs; this takes some minutes ..."
	$(call INSTALL,training)
	@touch $@

$(VENV)/.ready-check: $(VENV)/.ready-test package-lock.json
	@echo "Installing what the checks need ..."
	$(call INSTALL,check)
	@PATH=$(CURDIR)/$(BIN):$$PATH npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(CHECKS)/.ready: deploy/checks.txt
	@echo "Installing what checks the deployment into $(CHECKS), once ..."
	@$(PYTHON) -m venv --clear $(CHECKS)
	@$(CHECKS)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/checks.txt
	@touch $@

$(SITE)/.ready: deploy/site.txt
	@echo "Installing what builds the documentation into $(SITE), once ..."
	@$(PYTHON) -m venv --clear $(SITE)
	@$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --only-binary :all: -r deploy/site.txt
	@touch $@
