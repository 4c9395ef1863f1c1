"""Panels, Markdown and charts, with all text escaped."""
