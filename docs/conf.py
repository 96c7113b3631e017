"""Settings of the documentation site: `make docs` builds it from the pages, the lessons and the docstrings."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

project = "Shallow to Deep"
author = "The Shallow to Deep authors"
copyright = "2026, The Shallow to Deep authors"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["docs/**", "lessons/**", "benchmarks/README.md", "*.md"]
exclude_patterns = ["docs/site/**", "docs/templates/**"]
templates_path = ["templates"]

nb_execution_mode = "off"  # the lessons are stored with their outputs; `make lessons` checks them
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
default_role = "literal"  # docstrings write code in single backticks
autodoc_typehints = "description"
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = "Shallow to Deep"
html_extra_path = ["site"]  # index.html, which leads to docs/index.html
