"""Timed probes: races against a reference, clocks, noise."""
