"""Measure how hard shapes32 is, by a linear model, an MLP and convolutional networks.

Run it by hand, on one core: ``OPENBLAS_NUM_THREADS=1 python benchmarks/shapes32.py [MODEL ...]``.
20,000 images, Adam (lr 0.001 for linear and MLP, 0.002 for the others), batches of 64,
cross-entropy, inputs (x - 127.5) / 64, He initialisation, seed 0; accuracy on 4,000 other images
after each epoch.

Measured with the reference framework on two busy cores; trust the accuracies more than the times:

    model                parameters  epochs      s    accuracy after each epoch, %
    linear                   30,730       4    0.6    9.8 11.2 11.0 10.7
    mlp                     789,258       6    7.9   44.9 59.6 62.7 65.0 66.5 67.7
    two_convolutions         25,578       8   16.5   41.0 62.5 72.8 77.0 79.6 79.8 81.4 81.7
    pooled                   10,218       8   22.9   38.3 65.3 76.0 80.4 83.9 85.8 86.9 87.5
    three_convolutions       33,834       6   46.0   53.6 80.4 87.1 89.3 90.3 91.8
    expert                   33,834       6   72.0   64.6 91.9 94.5 95.9 96.5 97.6

Seed 1 ended at 10.2 (linear), 66.6 (mlp), 86.9 (pooled) and 92.2 % (three_convolutions, in 22 s).
The inputs must be centred: with inputs x / 255 and seed 1 the MLP stayed at 10.0 %, and pooled and
three_convolutions ended at 73.8 and 80.8 %.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinytorch_compete.datasets.shapes32 import CLASSES, generate
from tinytorch_compete.reference.tinytorch import (
    Adam,
    Conv2d,
    CrossEntropyLoss,
    DataLoader,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    TensorDataset,
    Trainer,
)

TRAIN, TEST = 20_000, 4_000  # images
TRAIN_SEED, TEST_SEED = 1, 2
BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """A network, the number of its epochs and its learning rate."""

    build: Callable[[np.random.Generator], Sequential]
    epochs: int
    lr: float


def linear(rng: np.random.Generator) -> Sequential:
    """Softmax regression on raw pixels."""
    return Sequential(Flatten(), Linear(3072, 10, rng=rng))


def mlp(rng: np.random.Generator) -> Sequential:
    """One hidden layer of 256."""
    return Sequential(Flatten(), Linear(3072, 256, rng=rng), ReLU(), Linear(256, 10, rng=rng))


def two_convolutions(rng: np.random.Generator) -> Sequential:
    """3 -> 16 -> 32 channels, each 3 x 3 with stride 2."""
    return Sequential(*_strided(3, 16, rng), *_strided(16, 32, rng), *_head(2048, rng))


def pooled(rng: np.random.Generator) -> Sequential:
    """As ``two_convolutions``, with 2 x 2 max pooling before the linear layer."""
    layers = (*_strided(3, 16, rng), *_strided(16, 32, rng))
    return Sequential(*layers, MaxPool2d(2), *_head(512, rng))


def three_convolutions(rng: np.random.Generator) -> Sequential:
    """3 -> 16 -> 32 -> 64 channels, each 3 x 3 with stride 2."""
    layers = (*_strided(3, 16, rng), *_strided(16, 32, rng), *_strided(32, 64, rng))
    return Sequential(*layers, *_head(1024, rng))


def expert(rng: np.random.Generator) -> Sequential:
    """3 -> 16 -> 32 -> 64 channels at full resolution, each followed by 2 x 2 max pooling."""
    layers = [
        layer
        for inner, outer in ((3, 16), (16, 32), (32, 64))
        for layer in (Conv2d(inner, outer, 3, padding=1, rng=rng), ReLU(), MaxPool2d(2))
    ]
    return Sequential(*layers, *_head(1024, rng))


RECIPES = {
    "linear": Recipe(linear, epochs=4, lr=0.001),
    "mlp": Recipe(mlp, epochs=6, lr=0.001),
    "two_convolutions": Recipe(two_convolutions, epochs=8, lr=0.002),
    "pooled": Recipe(pooled, epochs=8, lr=0.002),
    "three_convolutions": Recipe(three_convolutions, epochs=6, lr=0.002),
    "expert": Recipe(expert, epochs=6, lr=0.002),
}


def main(names: list[str]) -> None:
    """Train the recipes of these names, or all, and print one line for each."""
    start = time.perf_counter()
    images, labels = generate(TRAIN, TRAIN_SEED)
    speed = TRAIN / (time.perf_counter() - start)
    print(f"{len(CLASSES)} classes, {speed:,.0f} images/s generated")
    test_images, test_labels = generate(TEST, TEST_SEED)
    train = TensorDataset(_inputs(images), labels)
    for name in names or list(RECIPES):
        _report(name, RECIPES[name], train, _inputs(test_images), test_labels)


def _report(
    name: str, recipe: Recipe, train: TensorDataset, inputs: np.ndarray, labels: np.ndarray
) -> None:
    model = recipe.build(np.random.default_rng(0))
    trainer = Trainer(model, Adam(model.parameters(), lr=recipe.lr), CrossEntropyLoss())
    loader = DataLoader(train, batch_size=BATCH, shuffle=True, seed=0)
    seconds, accuracies = 0.0, []
    for _ in range(recipe.epochs):
        start = time.perf_counter()
        trainer.fit_epoch(loader)
        seconds += time.perf_counter() - start
        right = trainer.predict(inputs).argmax(1) == labels
        accuracies.append(f"{100 * right.mean():.1f}")
    size = sum(parameter.data.size for parameter in model.parameters())
    print(f"{name:20}{size:>9,} parameters {seconds:6.1f} s  {'  '.join(accuracies)} %", flush=True)


def _strided(inner: int, outer: int, rng: np.random.Generator) -> tuple[Conv2d, ReLU]:
    return Conv2d(inner, outer, 3, stride=2, padding=1, rng=rng), ReLU()


def _head(features: int, rng: np.random.Generator) -> tuple[Flatten, Linear]:
    return Flatten(), Linear(features, 10, rng=rng)


def _inputs(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((images.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 64)


if __name__ == "__main__":
    main(sys.argv[1:])
