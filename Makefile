# Every target is one command that the README also gives for machines without make.
PYTHON ?= python3
RUN = .venv/bin/python
# an index with another build of PyTorch than the usual one, such as the small one for CPUs
TORCH_INDEX ?=

.PHONY: setup compare results results-gpu depth-study inside bench test test-lightning lint

setup: .venv/installed

.venv/installed: pyproject.toml
	@echo "Installing PyTorch, Lightning, TensorBoard and the tools of the tests into .venv."
ifeq ($(TORCH_INDEX),)
	@if [ "$$(uname)" = Linux ]; then \
	  echo "That fetches about 3.2 GB and takes 6.1 GB, most of it the CUDA libraries of PyTorch."; \
	  command -v nvidia-smi > /dev/null || echo "No NVIDIA driver was found: the build of PyTorch for CPUs is a fraction" \
	    "of that. To take it, stop this and type: make setup TORCH_INDEX=ADDRESS" \
	    "with the address that https://pytorch.org/get-started/locally/ shows for CPU behind --index-url."; \
	fi
	$(PYTHON) -m venv .venv
else
	@echo "PyTorch comes from $(TORCH_INDEX), all else from the usual index; without CUDA that is a fraction of 3.2 GB."
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --index-url '$(TORCH_INDEX)' torch torchvision
endif
	$(RUN) -m pip install --editable '.[dev]'
	touch .venv/installed

compare: setup
	$(RUN) compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml configs/mnist/resnet.yaml configs/sequence/lstm.yaml

# rewrites tables from committed results; SET=quick trains one seed of each config, SET=full all, SET=mnist one set
results: setup
	$(RUN) -m benchmarks.report $(SET)

results-gpu: setup
	$(RUN) -m benchmarks.report gpu

depth-study: setup
	$(RUN) -m benchmarks.depth_study

inside: setup
	$(RUN) -m benchmarks.inside_page

# FLAGS=--write saves the results and rewrites the tables; the default is a first look
FLAGS ?= --rounds 1
bench: setup
	for name in overhead against pipeline time_to_accuracy scaling; do $(RUN) -m benchmarks.$$name $(FLAGS) || exit; done

test: setup
	$(RUN) -m pytest

# the fast loop follows private code of Lightning, so it is tried with the oldest and the newest one that is supported
TRY_LIGHTNING = rm -rf .venv-$(1) && $(PYTHON) -m venv .venv-$(1) \
	$(if $(TORCH_INDEX),&& .venv-$(1)/bin/python -m pip install --index-url '$(TORCH_INDEX)' torch torchvision) \
	&& .venv-$(1)/bin/python -m pip install --editable '.[dev]' $(2) \
	&& .venv-$(1)/bin/python -m pytest tests/engine/test_fast_loop.py; \
	status=$$?; rm -rf .venv-$(1); exit $$status

test-lightning:
	$(call TRY_LIGHTNING,oldest,lightning==2.6.4)
	$(call TRY_LIGHTNING,newest,lightning)

lint: setup
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check . && $(RUN) -m mypy
