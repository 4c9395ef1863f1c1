"""The questions of one grading: a data set, a secret seed, and everything derived from both."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import numpy as np

from tinytorch_compete.datasets import Dataset

Pair = tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.uint8]]]

CHECK_N = 500


class Exam(msgspec.Struct, frozen=True, dict=True):
    """The questions for every submission that is graded with the same secret seed."""

    data: Dataset
    seed: int
    holdout_n: int

    def train(self) -> Pair:
        """Return the training images and labels, memory-mapped; students have them."""
        return self.data.train()

    def public(self) -> Pair:
        """Return the public test images and labels, memory-mapped; students have them."""
        return self.data.public()

    @functools.cached_property
    def holdout(self) -> Pair:
        """``holdout_n`` images and their labels, drawn by the secret seed; the labels stay here."""
        return self.data.holdout(self.seed, self.holdout_n)

    @functools.cached_property
    def check(self) -> Pair:
        """``CHECK_N`` other images and labels of the same kind, to check that training worked.

        They are not the public ones, since students have the labels of those.
        """
        return self.data.holdout(int(self.rng(3).integers(2**63)), CHECK_N)

    def rng(self, *purpose: int) -> np.random.Generator:
        """Return a generator, fixed by the seed, for one purpose of a grader, as (4, question)."""
        return np.random.default_rng([self.seed, *purpose])

    def class_names(self, classes: int = 10) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the number that stands for each class in this grading, of shape (classes,).

        It is a secret permutation: a model that was trained elsewhere answers with other numbers.
        It is no proof of training: anyone with the public labels can work the permutation out.
        """
        return self.rng(1).permutation(classes).astype(np.uint8)

    def training_seed(self) -> int:
        """Return the seed that a submission is given to train with, at most 2**31 - 1."""
        return int(self.rng(2).integers(2**31))


class PublicExam(Exam, frozen=True, dict=True):
    """The questions that students can ask themselves: all images are public ones."""

    @functools.cached_property
    def holdout(self) -> Pair:
        """The first ``holdout_n`` public images and their labels."""
        images, labels = self.data.public()
        return images[: self.holdout_n], labels[: self.holdout_n]

    @functools.cached_property
    def check(self) -> Pair:
        """The first ``CHECK_N`` public images and their labels."""
        images, labels = self.data.public()
        return images[:CHECK_N], labels[:CHECK_N]
