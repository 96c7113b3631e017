"""What stands behind compare.py: what is run, by whom, and what becomes of the results."""
