"""Data sets by name: ``prepare`` caches the splits and returns a ``Dataset``."""

from tinytorch_compete.datasets.datasets import DATASETS, Dataset, prepare

__all__ = ["DATASETS", "Dataset", "prepare"]
