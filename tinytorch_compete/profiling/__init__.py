"""The host's side of a profile: run, parse, view, roofline, scaling."""
