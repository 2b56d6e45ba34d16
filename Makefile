# LayerProof. `make help` lists what one can do.
#
# Works in this repository, and in a Rust Lambda's own: copied there together with scripts/ and Dockerfile.optimized, or
# called from there with `make -f /path/to/layerproof/Makefile TARGET`. The targets that build act on the cargo project in
# the current directory; where there is none, on the sample in fixtures/hello-lambda. PROJECT=DIR names another.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The path of this file may hold spaces, which split MAKEFILE_LIST: its last word is then no file.
LAYERPROOF_MAKEFILE := $(or $(wildcard $(lastword $(MAKEFILE_LIST))),$(strip $(MAKEFILE_LIST)))
LAYERPROOF_MAKEFILE := $(if $(filter /%,$(LAYERPROOF_MAKEFILE)),,$(CURDIR)/)$(LAYERPROOF_MAKEFILE)
export LAYERPROOF_MAKEFILE
export LAYERPROOF_PROJECT := $(PROJECT)

# Paths reach the shell through the environment, so that no character in them matters.
ROOT = root="$${LAYERPROOF_MAKEFILE%/*}"; scripts="$$root/scripts"
IN_PROJECT = $(ROOT); project="$$LAYERPROOF_PROJECT"; \
  [ -n "$$project" ] || [ -f Cargo.toml ] || [ ! -d "$$root/fixtures/hello-lambda" ] || project="$$root/fixtures/hello-lambda"; \
  CDPATH= cd -- "$${project:-.}" || exit

.PHONY: help
help: ## List the targets
	@$(ROOT); awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' "$$LAYERPROOF_MAKEFILE"

# --- the cargo project: with the host's cargo, or in the dev container where the host has none ---

CARGO = run_cargo() { if cargo --version >/dev/null 2>&1; then cargo "$$@"; else "$$scripts/dev-container.sh" exec -- cargo "$$@"; fi; }

.PHONY: build run check clean docs docs-open test-html
build: ## Compile the project in debug mode
	@$(IN_PROJECT); $(CARGO); run_cargo build

run: ## Run the project's binary
	@$(IN_PROJECT); $(CARGO); run_cargo run

check: ## Type-check the project
	@$(IN_PROJECT); $(CARGO); run_cargo check --all-targets

clean: ## Remove target/, lambda-package/ and the zip files
	@$(IN_PROJECT); "$$scripts/build-deploy.sh" clean

docs: ## Make the project's API documentation
	@$(IN_PROJECT); $(CARGO); run_cargo doc --no-deps

docs-open: docs ## Make the documentation and open it in a browser
	@$(IN_PROJECT); for page in target/doc/*/index.html; do break; done; \
	  for opener in xdg-open open; do \
	    if command -v $$opener >/dev/null 2>&1; then exec $$opener "$$page"; fi; \
	  done; printf '%s\n' "$$PWD/$$page"

test-html: ## Run the project's tests; the report is target/test-report.html
	@$(IN_PROJECT); "$$scripts/test-html.sh"

# --- the Lambda package ---

.PHONY: build-lambda build-docker build-local build-dev build-prod deploy-package package-zip
build-lambda: ## Choose how to build the package, from a menu
	@$(IN_PROJECT); "$$scripts/build-deploy.sh"

build-docker: ## Build the package in Docker
	@$(IN_PROJECT); "$$scripts/build-lambda.sh" docker

build-local: ## Build the package with the host's cargo for the Lambda target
	@$(IN_PROJECT); "$$scripts/build-lambda.sh" local

build-dev: ## Build in the persistent dev container: fast
	@$(IN_PROJECT); "$$scripts/build-lambda.sh" dev

build-prod: ## Build the package for production: small
	@$(IN_PROJECT); "$$scripts/build-lambda.sh" prod

deploy-package: ## Package what is built, compile nothing
	@$(IN_PROJECT); "$$scripts/build-lambda.sh" --package-only

package-zip: ## Make the zip from lambda-package/bootstrap
	@$(IN_PROJECT); "$$scripts/package-zip.sh"

# --- LayerProof itself ---

.PHONY: setup verify test bench lint
setup: ## Find or provide Python packages, engine, buildx and base images
	@$(ROOT); "$$scripts/setup.sh"

verify: ## Build the sample in prod and dev mode, invoke it, check the properties
	@$(ROOT); "$$scripts/verify.sh"

test: ## Run the tests: unit, integration, properties; in a cargo project, its own
	@if [ -f Cargo.toml ]; then $(IN_PROJECT); $(CARGO); run_cargo test; else $(ROOT); exec "$$scripts/test.sh"; fi

bench: ## Measure the builds side by side
	@$(ROOT); "$$scripts/setup.sh" && cd -- "$$root" && .venv/bin/python -m benchmarks

lint: ## Check style and types: ruff, mypy, shellcheck, shfmt
	@$(ROOT); "$$scripts/lint.sh"
