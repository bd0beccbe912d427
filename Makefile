# Every target sets itself up. ARGS passes options on: make demo ARGS="--jobs 30 --exit --json"
.DEFAULT_GOAL := help
.PHONY: help setup demo up-local test check bench simulate soak power-cuts vm firmware docs format clean
RUN := .venv/bin
ARGS ?=

help:  ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:
	@bash scripts/setup.sh

demo: setup  ## Broker, services, dashboard and three simulated dispensers; prints one link
	@exec $(RUN)/pitada demo $(ARGS)

up-local: setup  ## Mosquitto (TLS), PostgreSQL, ingest, dispatch, dashboard: five processes; prints one link
	@bash scripts/servers.sh
	@exec $(RUN)/pitada up-local $(ARGS)

test: setup  ## Every check and test, against real servers
	@bash scripts/servers.sh
	@$(MAKE) --no-print-directory check
	$(RUN)/pytest $(ARGS)

check: setup  ## Lint, types, import contracts, generated documents
	$(RUN)/ruff format --check --quiet .
	$(RUN)/ruff check --quiet .
	$(RUN)/mypy --no-error-summary
	@bash scripts/stubs.sh
	$(RUN)/mypy --no-error-summary --config-file firmware/esp32.ini
	@$(RUN)/lint-imports --no-logo
	$(RUN)/python scripts/generate_docs.py --check

bench: setup  ## The figures in the docs: make bench ARGS="NAME --json"
	@bash scripts/servers.sh $(filter peers,$(ARGS))
	@$(RUN)/python -m tests.benchmarks $(ARGS)

simulate: setup  ## The product in a world where every fault is a seed: make simulate ARGS="--seeds 20000 --json"
	@$(RUN)/python -m tests.simulation $(ARGS)

soak: setup  ## Kills and outages for minutes: make soak ARGS="--minutes 10 --json"
	@bash scripts/servers.sh
	@$(RUN)/python -m tests.chaos $(ARGS)

power-cuts: setup  ## Cuts power at every flash write of every job, byte by byte: make power-cuts ARGS="--json"
	@$(RUN)/python -m tests.power_cuts $(ARGS)

vm: setup  ## The firmware in the MicroPython VM for minutes: make vm ARGS="outages --json"
	@bash scripts/servers.sh
	@$(RUN)/python -m tests.micropython $(ARGS)

firmware: setup  ## The dispenser's firmware, compiled for the ESP32, into build/firmware/
	@$(RUN)/python -m scripts.build_firmware $(ARGS)

docs: setup  ## Writes the generated parts of docs/
	@$(RUN)/python scripts/generate_docs.py

format: setup  ## Formats the code
	@$(RUN)/ruff format --quiet . && $(RUN)/ruff check --fix --quiet .

clean:  ## Removes what the targets made
	rm -rf .venv .tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/micropython/node_modules tests/benchmarks/node_red/node_modules
