# The README has the same commands for machines without make.
PYTHON ?= python3
RUN = .venv/bin/python
# the package index of another build of PyTorch, such as the smaller build for CPUs
TORCH_INDEX ?=

.PHONY: setup compare results results-gpu depth-study inside bench test lessons playground test-browser docs test-lightning lint

setup: .venv/installed

.venv/installed: pyproject.toml
	@echo "Installing PyTorch, Lightning, TensorBoard and the test tools into .venv."
ifeq ($(TORCH_INDEX),)
	@if [ "$$(uname)" = Linux ]; then \
	  echo "This downloads about 3.2 GB and needs 6.1 GB of disk space, mostly for PyTorch's CUDA libraries."; \
	  command -v nvidia-smi > /dev/null || echo "No NVIDIA driver was found. PyTorch's build for CPUs is much smaller." \
	    "To install it instead, press Ctrl-C and type: make setup TORCH_INDEX=ADDRESS" \
	    "ADDRESS is the --index-url that https://pytorch.org/get-started/locally/ shows for CPU."; \
	fi
	$(PYTHON) -m venv .venv
else
	@echo "Installing PyTorch from $(TORCH_INDEX), the rest from the default index. Without CUDA, this is far less than 3.2 GB."
	$(PYTHON) -m venv .venv
	$(RUN) -m pip install --index-url '$(TORCH_INDEX)' torch torchvision
endif
	$(RUN) -m pip install --editable '.[dev]'
	touch .venv/installed

compare: setup
	$(RUN) compare.py configs/mnist/shallow_mlp.yaml configs/mnist/deep_mlp.yaml configs/mnist/resnet.yaml configs/sequence/lstm.yaml

# rewrites tables and figures from committed results; SET=quick trains one seed per config, SET=full all seeds, SET=mnist one set
results: setup
	$(RUN) -m benchmarks.report $(SET)

results-gpu: setup
	$(RUN) -m benchmarks.report gpu

depth-study: setup
	$(RUN) -m benchmarks.report depth

inside: setup
	$(RUN) -m benchmarks.report inside

# The default runs one round. FLAGS=--write runs all rounds, saves the results and rewrites the tables.
FLAGS ?= --rounds 1
bench: setup
	for name in overhead against time_to_accuracy scaling; do $(RUN) -m benchmarks.$$name $(FLAGS) || exit; done

test: setup
	$(RUN) -m pytest

# runs every lesson and compares what it prints with its page: 9 minutes
lessons: setup
	$(RUN) -m pytest -n 0 -m 'slow or not slow' tests/lessons

playground: setup
	$(RUN) -m playground

# drives the page of the playground in Chromium, which is downloaded only if the machine has none: 3 minutes
test-browser: setup
	$(RUN) -m pip install --quiet --editable '.[browser]'
	{ command -v chromium || command -v chromium-browser || command -v google-chrome; } > /dev/null \
	  || $(RUN) -m playwright install chromium
	$(RUN) -m pytest -n 0 -m browser tests/playground/test_browser.py

docs: setup
	$(RUN) -m pip install --quiet --editable '.[docs]'
	$(RUN) -m sphinx --fail-on-warning --keep-going -c docs . build/site
	@echo "Open build/site/index.html"

# The fast loop depends on private code of Lightning, so it is tested with the oldest and the newest supported version.
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
