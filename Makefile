# On a machine with Python 3.10+, make and git, `make demo` and `make test` are all there is to do: each first makes
# the virtual environment and finds Java (see scripts/), unless that was done before.

VENV := .venv
LOWEST := .venv-lowest
CLIENT := .venv-client
DOCS := .venv-docs
RUN := scripts/in_venv.sh $(VENV)

# Two processes of tests, each with a Spark session of its own; what tests start in common they start in one file.
PYTEST := python -m pytest -n 2 --dist loadfile

export SPARK_LOCAL_IP := 127.0.0.1

.PHONY: help demo demo-yarn test test-connect test-hadoop test-fast test-lowest lint docs bench bench-smoke zip clean
.DELETE_ON_ERROR:

help:
	@echo "make demo         train on real data with spark-submit; results in demo-output/"
	@echo "make demo-yarn    the same on a Hadoop cluster of this machine, which Maven fetches; in demo-output/yarn/"
	@echo "make test         run all tests on the newest Spark"
	@echo "make test-connect run the tests of Spark Connect from a client without Java"
	@echo "make test-hadoop  run the tests on HDFS and YARN, which Maven fetches"
	@echo "make test-fast    run the tests that need no Spark, and a few that do: an answer in three minutes"
	@echo "make test-lowest  run all tests on the oldest supported Spark and libraries"
	@echo "make lint         ruff and mypy"
	@echo "make docs         build the documentation, whose examples are executed, in build/docs/"
	@echo "make bench        measure against MLlib"
	@echo "make bench-smoke  two small cases; fails if sparkgd is slower than it should be, relative to MLlib"
	@echo "make zip          dist/sparkgd.zip for spark-submit --py-files"
	@echo "make clean        remove all that these make"

demo: $(VENV)/.installed
	@rm -rf demo-output
	@$(RUN) python scripts/demo_data.py demo-output/breast_cancer.parquet
	@SPARK_CONF_DIR=jobs/conf $(RUN) spark-submit --master 'local[2]' jobs/train.py \
		--input demo-output/breast_cancer.parquet --labelCol benign --task classification --regParam 0.001 \
		--test-fraction 0.25 --model demo-output/model --report demo-output/report.json --plot demo-output/curve.png \
		2> demo-output/spark.log || { cat demo-output/spark.log >&2; exit 1; }

# HDFS and YARN with two nodes each, as processes of this machine; the job is in no way aware of that.
demo-yarn: $(VENV)/.installed zip
	@rm -rf demo-output/yarn
	@$(RUN) python scripts/demo_data.py demo-output/yarn/breast_cancer.parquet
	@$(RUN) python -m scripts.hadoop --put demo-output/yarn/breast_cancer.parquet /breast_cancer.parquet \
		spark-submit --py-files dist/sparkgd.zip jobs/train.py --execution cluster \
		--input /breast_cancer.parquet --labelCol benign --task classification --regParam 0.001 --test-fraction 0.25 \
		--checkpointDir /checkpoints --checkpointInterval 2 --model /model --report demo-output/yarn/report.json \
		2> demo-output/yarn/cluster.log || { cat demo-output/yarn/cluster.log >&2; exit 1; }

# Those of tests/hadoop take minutes and fetch some 70 MB: they are run by their own command. Those of tests/connect need
# a process that has known no classic Spark, and best one that has none of it.
test: $(VENV)/.installed $(CLIENT)/.installed
	$(RUN) $(PYTEST) --ignore=tests/hadoop
	$(MAKE) test-connect
	@echo "Not run: the tests on HDFS and YARN, which are those of make test-hadoop"

# The client has pyspark-client alone, the server the whole of pyspark.
test-connect: $(VENV)/.installed $(CLIENT)/.installed
	JAVA_HOME=$$(scripts/find_java.sh) SPARKGD_SERVER_PYTHON=$(CURDIR)/$(VENV)/bin/python \
		$(CLIENT)/bin/python -m pytest tests/connect

test-hadoop: $(VENV)/.installed
	$(RUN) python -m pytest tests/hadoop

# A test is in the handful by its marker, smoke; the markers are explained in pyproject.toml.
test-fast: $(VENV)/.installed
	$(RUN) $(PYTEST) -m "not cluster and not slow and (smoke or not spark)"

test-lowest: $(LOWEST)/.installed
	scripts/in_venv.sh $(LOWEST) $(PYTEST) --ignore=tests/hadoop
	scripts/in_venv.sh $(LOWEST) python -m pytest tests/connect

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# A warning is an error: a page that names what is not there, an example that fails.
docs: $(DOCS)/.installed
	scripts/in_venv.sh $(DOCS) python -m sphinx -W --keep-going -b html docs build/docs

bench: $(VENV)/.installed
	$(RUN) python benchmarks/run.py

bench-smoke: $(VENV)/.installed
	$(RUN) python benchmarks/run.py --smoke --check --no-sklearn --repeats 3

zip: $(VENV)/.installed
	@$(VENV)/bin/python scripts/make_zip.py dist/sparkgd.zip

clean:
	rm -rf $(VENV) $(LOWEST) $(CLIENT) $(DOCS) build docs/examples docs/api/generated dist demo-output *.egg-info .pytest_cache .mypy_cache .ruff_cache spark-warehouse
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml
	@scripts/find_java.sh > /dev/null
	@python=$$(scripts/find_python.sh) && scripts/make_venv.sh "$$python" $(VENV)
	@touch $@

$(CLIENT)/.installed: pyproject.toml
	@python=$$(scripts/find_python.sh) && "$$python" -m venv $(CLIENT)
	@$(CLIENT)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[connect]' pytest
	@touch $@

# Sphinx's supported releases have no Python 3.10.
$(DOCS)/.installed: pyproject.toml
	@scripts/find_java.sh > /dev/null
	@python=$$(scripts/find_python.sh python3.13 python3.12 python3.11) && "$$python" -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

# NumPy's oldest supported release has no wheels for Python 3.13.
$(LOWEST)/.installed: pyproject.toml scripts/lowest_bounds.py
	@scripts/find_java.sh > /dev/null
	@mkdir -p build
	@python=$$(scripts/find_python.sh python3.10 python3.11 python3.12) && \
		"$$python" scripts/lowest_bounds.py > build/lowest.txt && \
		scripts/make_venv.sh "$$python" $(LOWEST) build/lowest.txt
	@touch $@
