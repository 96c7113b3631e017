"""Several configs and seeds side by side: what runs, in which process, and how the results are shown."""
