"""Where the work of a batch runs."""
