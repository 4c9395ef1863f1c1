"""The host's side of profiling: running, parsing, views, the roofline model, scaling."""
