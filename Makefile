# Everything a user or developer runs. `make` alone says what there is.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
TESTS ?= tests
# Most tests wait for timers of the wire: more workers than cores.
WORKERS ?= 3
# The pure tests never wait: one worker a core.
CORES ?= auto
OUTSIDE := slow or process or loopback or peer or browser or netns or bench
RUNS ?= 200
SECONDS ?= 600
SOAKED := $(addprefix tests/dialer/test_,kills.py outages.py rules_hold.py people_hold.py) tests/imports/test_made_tables.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run demo trace quick test check format bench soak fuzz migration diagrams sample-sound script

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(VENV)/.setup: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with make PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "Installing what the service needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.txt
	@touch $@

$(VENV)/.setup-dev: requirements-dev.txt $(VENV)/.setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.setup  ## .venv from requirements.txt

setup-dev: $(VENV)/.setup-dev  ## tools, and the programs the tests need (as root by apt-get)
	@$(BIN)/python -m tests.peers.requirements --install

run: setup  ## start the service
	@$(BIN)/python main.py $(ARGS)

demo: setup  ## the whole main job with no provider: 200 calls, a report, what one callee heard (ARGS=--exit ends by itself)
	@$(BIN)/python main.py demo $(ARGS)

trace: setup  ## the SIP messages of a call: make trace CALL=its-id
	@test -n "$(CALL)" || { echo "name the call: make trace CALL=its-id"; exit 2; }
	@$(BIN)/python main.py trace "$(CALL)"

# pytest rewrites the asserts of each test module, 7 s of CPU a worker: kept even where Python is told to keep nothing.
quick test: export PYTHONDONTWRITEBYTECODE :=

quick: $(VENV)/.setup-dev  ## the pure tests alone, under a minute (one of them: make quick TESTS=tests/sip/test_sdp.py)
	@$(BIN)/python -m pytest -q -n $(CORES) --dist worksteal -m "not ($(OUTSIDE))" $(TESTS) $(ARGS)

test: setup-dev  ## all tests but bench, soak and fuzz
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not bench" $(TESTS) $(ARGS)

check: $(VENV)/.setup-dev  ## lint, types, layers, documents and their prose; no tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/check.py
	$(BIN)/python docs/prose.py
	$(BIN)/python docs/diagrams.py --check

format: $(VENV)/.setup-dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev  ## measure: make bench [ONLY=sip|media|queue|import|sound|api|report]; writes docs/performance.md and bench/results.json
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

soak: setup-dev  ## kill -9 at random instants, a database locked for minutes, thousands of random campaigns and tables: make soak [RUNS=200]
	@SOAK=1 KILL_RUNS=$(RUNS) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(SOAKED) $(ARGS)

fuzz: $(VENV)/.setup-dev  ## coverage-guided attack on every parser and a live call, schemathesis on the API: make fuzz [SECONDS=600]
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)
	@$(BIN)/python -m tests.fuzz.contract --seconds $(SECONDS)

migration: $(VENV)/.setup-dev  ## a new migration from the tables: make migration NAME=what-changes
	@test -n "$(NAME)" || { echo "name it: make migration NAME=what-changes"; exit 2; }
	$(BIN)/python -m autodialer.store.migrations "$(NAME)"

diagrams: setup  ## docs/states.md from the state tables in the code
	@$(BIN)/python docs/diagrams.py

script: setup  ## sqlite/script.sql from the migrations
	$(BIN)/python -m autodialer.store.migrations.script > sqlite/script.sql.new && mv sqlite/script.sql.new sqlite/script.sql

sample-sound:  ## the spoken sample sound anew (needs espeak-ng and sox)
	espeak-ng -v ru -s 150 -w /tmp/autodialer-ru.wav "Здравствуйте! Это пробный звонок автоматической системы оповещения."
	espeak-ng -v en-us -s 150 -w /tmp/autodialer-en.wav "Hello! This is a sample call of the automatic dialer."
	sox /tmp/autodialer-ru.wav /tmp/autodialer-en.wav autodialer/gateway/sample.flac norm -3 pad 0.1 0.1
	rm /tmp/autodialer-ru.wav /tmp/autodialer-en.wav
