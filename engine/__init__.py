"""Everything around a run that a model does not know."""
