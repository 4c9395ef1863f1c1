"""Copies are found through renaming and reordering; independent answers and the template aren't."""

from __future__ import annotations

from pathlib import Path

from tinytorch_compete.authoring import samples
from tinytorch_compete.challenges import packs
from tinytorch_compete.submissions import notebook, similarity

TEMPLATE = "def train(images, labels, seed):\n    raise NotImplementedError()\n"
ONE = """
def to_floats(batch):
    batch = batch.transpose(0, 3, 1, 2).astype(np.float32)
    return (batch - batch.mean(axis=(2, 3), keepdims=True)) / 40

def train(images, labels, seed):
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.01, size=(3072, 10)).astype(np.float32)
    for epoch in range(3):
        order = rng.permutation(len(images))
        for start in range(0, len(images), 64):
            chosen = np.sort(order[start : start + 64])
            logits = to_floats(images[chosen]).reshape(len(chosen), -1) @ weights
            weights -= 0.1 * gradient(logits, labels[chosen])
    return weights
"""
RENAMED = """
# entirely my own work
def train(xs, ys, s):
    g = np.random.default_rng(s)
    w = g.normal(0, 0.02, size=(3072, 10)).astype(np.float32)
    for e in range(5):
        o = g.permutation(len(xs))
        for a in range(0, len(xs), 32):
            i = np.sort(o[a : a + 32])

            z = prepare(xs[i]).reshape(len(i), -1) @ w   # forward
            w -= 0.2 * grad(z, ys[i])
    return w

def prepare(b):
    b = b.transpose(0, 3, 1, 2).astype(np.float32)
    return (b - b.mean(axis=(2, 3), keepdims=True)) / 64
"""
OTHER = """
class Net:
    def __init__(self, *sizes):
        self.layers = [Linear(a, b) for a, b in zip(sizes, sizes[1:])]
    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)

def train(images, labels, seed):
    net = Net(3072, 64, 10)
    trainer = Trainer(net, Adam(net.parameters(), lr=1e-3), CrossEntropyLoss())
    while trainer.fit_epoch(DataLoader(TensorDataset(images, labels), 100)) > 0.5:
        print(".", end="")
    return net
"""


def test_a_renamed_and_reordered_copy_is_the_most_alike() -> None:
    pairs = similarity.pairs({"a": ONE, "b": RENAMED, "c": OTHER}, TEMPLATE, at_least=0.0)
    assert (pairs[0].first, pairs[0].second) == ("a", "b")
    assert pairs[0].share > 0.7
    assert all(pair.share < 0.2 for pair in pairs[1:])


def test_the_template_is_nobodys_own() -> None:
    assert similarity.pairs({"a": TEMPLATE, "b": TEMPLATE}, TEMPLATE, at_least=0.0) == []


def test_what_most_have_is_nobodys_own() -> None:
    answers = {f"s{n}": ONE for n in range(5)}
    assert similarity.pairs(answers, TEMPLATE, at_least=0.0) == []


def test_code_that_does_not_parse_is_compared_by_its_lines() -> None:
    broken = "\n".join(f"line number {n} (" for n in range(30))
    pairs = similarity.pairs({"a": broken, "b": broken + "\n)))"}, "", at_least=0.5)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b")]


def test_independent_sample_submissions_are_not_taken_for_copies() -> None:
    challenge = packs.find()["efficient-training"]
    master = challenge.master()
    texts = {
        name: notebook.answers(master, notebook.read(Path(sample.notebook)))
        for name, sample in samples.samples(challenge).items()
        if name in ("gold", "own_tinytorch", "over_memory", "cheat")
    }
    assert similarity.pairs(texts, "", at_least=0.5) == []
