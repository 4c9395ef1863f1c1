"""Educational competitions for TinyTorch courses, graded in a sandbox from evidence alone."""

__version__ = "0.1.0"
