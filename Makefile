# Every target is one command that the README also gives for machines without make.
PYTHON ?= python3
RUN = .venv/bin/python

.PHONY: setup compare test lint

setup: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --editable '.[dev]'
	touch .venv/installed

compare: setup
	$(RUN) compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml configs/mnist/resnet.yaml configs/sequence/lstm.yaml

test: setup
	$(RUN) -m pytest

lint: setup
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy
