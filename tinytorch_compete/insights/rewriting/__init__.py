"""Rewrite sources mechanically: a source in, the changed source out."""
