"""Educational competitions for TinyTorch courses, graded in a sandbox from evidence alone."""

import importlib

__version__ = "0.1.0"


def load_ipython_extension(shell: object) -> None:
    """Register the magics with a running kernel: ``%load_ext tinytorch_compete``."""
    # By name: nobody else needs IPython, and what is below the magics imports this file.
    importlib.import_module("tinytorch_compete.magics").load_ipython_extension(shell)
