"""What one grading asks of everybody: a data set, a secret seed, and what follows from both."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import numpy as np

from tinytorch_compete.datasets import Dataset

Pair = tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, np.dtype[np.uint8]]]

CHECK_N = 500


class Exam(msgspec.Struct, frozen=True, dict=True):
    """The same questions for every submission that is graded with the same secret seed."""

    data: Dataset
    seed: int
    holdout_n: int

    def train(self) -> Pair:
        """The images and labels to train on, memory-mapped; students have them."""
        return self.data.train()

    def public(self) -> Pair:
        """The images and labels to test on at home, memory-mapped; students have them."""
        return self.data.public()

    @functools.cached_property
    def holdout(self) -> Pair:
        """``holdout_n`` images and their labels, drawn by the secret seed; the labels stay here."""
        return self.data.holdout(self.seed, self.holdout_n)

    @functools.cached_property
    def check(self) -> Pair:
        """``CHECK_N`` other images and labels of the same kind, to see whether a training learned.

        Not the public ones, whose labels students have.
        """
        return self.data.holdout(int(self.rng(3).integers(2**63)), CHECK_N)

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator for one purpose of a grader's, such as (4, question), fixed by the seed."""
        return np.random.default_rng([self.seed, *purpose])

    def class_names(self, classes: int = 10) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """What class i is called in this grading: a secret permutation, shape (classes,).

        A model that was trained elsewhere and only loaded answers with the wrong names. It is no
        proof of training: who has the public labels can work the permutation out.
        """
        return self.rng(1).permutation(classes).astype(np.uint8)

    def training_seed(self) -> int:
        """The seed that a submission is told to train with, at most 2**31 - 1."""
        return int(self.rng(2).integers(2**31))


class PublicExam(Exam, frozen=True, dict=True):
    """The questions that students can ask at home: the public images stand in for all others."""

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
