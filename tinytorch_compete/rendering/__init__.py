"""Panels, Markdown, and charts, all escaped."""
