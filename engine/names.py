"""Finds the name that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar name, ignoring case, or None if no name is similar."""
    lowered = {one.lower(): one for one in names}
    found = difflib.get_close_matches(name.lower(), lowered, 1)
    return lowered[found[0]] if found else None
