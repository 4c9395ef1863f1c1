"""Data sets by name: ``prepare`` puts the splits into a cache and returns a ``Dataset``."""

from tinytorch_compete.datasets.datasets import DATASETS, Dataset, prepare

__all__ = ["DATASETS", "Dataset", "prepare"]
