# What can be done here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

.DEFAULT_GOAL := help
.PHONY: help demo build test test-rust test-python test-all lint format simulate bench bench-core scaling fire millions clean

help: ## List the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## Start the service in front of three fake, unreliable registries
	$(BIN)/backendify demo

build: $(VENV)/.built ## Build the package, release profile, into .venv

test: lint test-rust test-python ## Every linter and every test but the slow ones

test-rust: ## The core's tests, and the orders of steps that shuttle explores
	cargo test --locked --quiet
	cargo test --locked --quiet --package backendify-core --features shuttle --lib explored

test-python: build ## The package's tests
	$(BIN)/pytest -m "not slow"

test-all: lint test-rust build ## Everything, the slow tests too
	$(BIN)/pytest

lint: build ## Formatting, ruff, mypy, stubtest, clippy, and what the structure promises
	cargo fmt --all --check
	cargo clippy --locked --all-targets --quiet -- --deny warnings
	! cargo tree --locked --package backendify-core --edges normal | grep --quiet pyo3
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest backendify._core

simulate: ## Overhead, evictions and hit ratio of the region, counted: two minutes
	cargo run --locked --release --quiet --package backendify-core --example simulate

bench: build bench/.venv/.stamp ## Beside nginx, Varnish, axum, Granian and FastAPI: long, best on an idle machine
	PYTHONPATH=python bench/.venv/bin/python bench/compare.py $(BENCH)

bench-core: ## What a look-up and a store cost (criterion): a minute, best on an idle machine
	cargo bench --locked --package backendify-core --bench region

scaling: ## What two processes over one region do, beside one (in /dev/shm): a minute, best on an idle machine
	cargo run --locked --release --quiet --package backendify-core --example scaling

format: $(STAMP) ## Format both languages
	cargo fmt --all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

millions: build ## A million companies in memory, eighteen million with the disk, in containers of 128 MB
	docker build --quiet --tag backendify .
	$(BIN)/python bench/millions.py

fire: build ## The service under fire, in a container of 128 MB, against its goals: fourteen minutes; PARTS="fire storm"
	docker build --quiet --tag backendify .
	$(BIN)/python bench/fire.py $(PARTS)

clean: ## Forget what was built
	rm -rf $(VENV) target bench/.venv bench/.tools bench/peers/axum_moka/target

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

bench/.venv/.stamp: pyproject.toml
	$(PYTHON) -m venv bench/.venv
	bench/.venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	bench/.venv/bin/python -m pip install --quiet --group bench
	touch $@

$(VENV)/.built: $(STAMP) $(RUST_SOURCES) pyproject.toml
	$(BIN)/maturin develop --release --quiet
	touch $@
