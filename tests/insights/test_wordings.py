"""Different ways to write each inefficiency, and sound code that looks similar."""

from __future__ import annotations

import pytest

from tinytorch_compete import insights

WASTEFUL = {
    "unshuffled_by_hand": (
        "unshuffled",
        """
def train(x, y, w):
    for epoch in range(10):
        for i in range(0, len(x), 32):
            xb, yb = x[i : i + 32], y[i : i + 32]
            w -= 0.1 * (xb.T @ (xb @ w - yb)) / len(xb)
    return w
""",
    ),
    "scaled_by_a_share": (
        "float64",
        """
def features(images):
    return images * (1 / 255)
""",
    ),
    "scaled_one_by_one": (
        "float64",
        """
import numpy as np
def features(images):
    return np.stack([im.ravel() / 255 for im in images])
""",
    ),
    "relu_in_place": (
        "loop-over-pixels",
        """
def relu(y):
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            if y[i, j] < 0:
                y[i, j] = 0
    return y
""",
    ),
    "matmul_as_a_comprehension": (
        "loop-matmul",
        """
def matmul(A, B):
    n, k, m = len(A), len(B), len(B[0])
    return [[sum(A[i][t] * B[t][j] for t in range(k)) for j in range(m)] for i in range(n)]
""",
    ),
    "scaled_in_another_shape": (
        "float64",
        """
import numpy as np
def features(images):
    return images.reshape(len(images), -1) / 255.0
""",
    ),
    "scaled_as_an_array": (
        "float64",
        """
import numpy as np
def features(images):
    return np.array(images) / 255.0
""",
    ),
    "scaled_after_it_was_flattened": (
        "float64",
        """
def features(images):
    flat = images.reshape(len(images), -1)
    return flat / 255.0
""",
    ),
    "scaled_about_the_middle": (
        "float64",
        """
def features(images):
    return (images - 128) / 128
""",
    ),
    "ndenumerate": (
        "loop-over-pixels",
        """
import numpy as np
def threshold(scan, level):
    mask = np.zeros_like(scan)
    for place, value in np.ndenumerate(scan):
        mask[place] = 1.0 if value > level else 0.0
    return mask
""",
    ),
    "while_pixels": (
        "loop-over-pixels",
        """
import numpy as np
def invert(img):
    out = np.empty_like(img)
    y = 0
    while y < img.shape[0]:
        x = 0
        while x < img.shape[1]:
            out[y, x] = 255 - img[y, x]
            x += 1
        y += 1
    return out
""",
    ),
    "ndindex_rows_times_columns": (
        "loop-matmul",
        """
import numpy as np
def mm(a, b):
    c = np.zeros((a.shape[0], b.shape[1]), dtype=np.float32)
    for i, j in np.ndindex(c.shape):
        c[i, j] = (a[i] * b[:, j]).sum()
    return c
""",
    ),
    "attribute_vstack": (
        "growing-arrays",
        """
import numpy as np
class Log:
    def __init__(self):
        self.x = np.zeros((0, 3), dtype=np.float32)
    def note(self, row):
        self.x = np.vstack([self.x, row])
def go(log, sim):
    while sim.runs():
        log.note(sim.advance())
""",
    ),
    "data_replaced": (
        "gradients-kept",
        """
def go(net, mse, loader):
    for a, b in loader:
        e = mse(net(a), b)
        e.backward()
        for q in net.parameters():
            q.data = q.data - 0.01 * q.grad
""",
    ),
    "entry_minus_step": (
        "temporaries",
        """
def sgd(params, grads, lr):
    for key, g in grads.items():
        params[key] = params[key] - lr * g
""",
    ),
    "print_in_a_helper": (
        "print-hot-loop",
        """
import logging
def note(i, l):
    print("step", i, "loss", l)
def go(net, opt, crit, loader):
    for i, (a, b) in enumerate(loader):
        opt.zero_grad()
        l = crit(net(a), b)
        l.backward()
        opt.step()
        note(i, l.item())
""",
    ),
    "mask_from_a_helper": (
        "loop-constant",
        """
import numpy as np
def causal(n):
    return np.triu(np.ones((n, n), dtype=np.float32), 1)
def go(net, batches, n):
    for b in batches:
        net.learn(b, causal(n))
""",
    ),
    "reshape_each": (
        "batch-of-one",
        """
def fit(net, opt, crit, xs, ys):
    for x, y in zip(xs, ys):
        opt.zero_grad()
        loss = crit(net(x.reshape(1, -1)), y)
        loss.backward()
        opt.step()
""",
    ),
    "helper_descends": (
        "unshuffled",
        """
import numpy as np
class M:
    def fit_some(self, x, y):
        self.w -= self.lr * (x.T @ (x @ self.w - y))
def go(m, x, y, size):
    for e in range(10):
        for k in range(0, len(x), size):
            m.fit_some(x[k:k + size], y[k:k + size])
""",
    ),
    "exp_and_divide_into_out": (
        "exp-shift",
        """
import numpy as np
def normalise(a):
    np.exp(a, out=a)
    total = a.sum(axis=1, keepdims=True)
    np.divide(a, total, out=a)
    return a
""",
    ),
    "worklist_extended": (
        "revisiting-backward",
        """
def backward(out, grad):
    todo = [(out, grad)]
    while len(todo) > 0:
        t, g = todo.pop()
        t.grad += g
        todo.extend((p, f(g)) for p, f in t.parents)
""",
    ),
    "apply_gradients": (
        "evaluate-often",
        """
def go(net, optimizer, loader, x_val, y_val):
    for x, y in loader:
        optimizer.apply_gradients(net.grads(x, y))
        acc = accuracy(net, x_val, y_val)
""",
    ),
    "files_stacked": (
        "whole-dataset",
        """
import numpy as np
from pathlib import Path
def load(folder):
    data = np.stack([np.load(f) for f in Path(folder).iterdir()])
    return data
""",
    ),
    "shifts_joined": (
        "im2col-whole-batch",
        """
import numpy as np
def cols(img, kh, kw, oh, ow):
    return np.concatenate(
        [img[:, a:a+oh, b:b+ow, :] for a in range(kh) for b in range(kw)], axis=-1
    )
""",
    ),
    "argument_copied": (
        "needless-copy",
        """
import numpy as np
def score(x, w):
    x = x.copy()
    return float(np.mean(x @ w))
""",
    ),
    "helper_for_each_row": (
        "loop-over-batch",
        """
import numpy as np
def layer(v, w):
    return np.tanh(w @ v)
def forward(inputs, w):
    return np.array([layer(v, w) for v in inputs])
""",
    ),
}

SOUND = {
    "shuffled_by_hand": """
import numpy as np
def train(x, y, w, rng):
    for epoch in range(10):
        order = rng.permutation(len(x))
        for i in range(0, len(x), 32):
            xb, yb = x[order[i : i + 32]], y[order[i : i + 32]]
            w -= 0.1 * (xb.T @ (xb @ w - yb)) / len(xb)
    return w
""",
    "what_is_left": """
def left(x, rates):
    total = 1.0
    for i in range(0, len(x), 32):
        total = total - 0.5 * x[i : i + 32].sum()
    return total
""",
    "scaled_as_float32": """
import numpy as np
def features(images):
    images = images.astype(np.float32)
    return images * (1 / 255)
""",
    "weighted_sums": """
def scores(weights, x):
    return [[sum(w[t] * x[t] for t in range(3)) for w in group] for group in weights]
""",
    "running_sums": """
import numpy as np
def integral(table):
    for i in range(1, table.shape[0]):
        for j in range(1, table.shape[1]):
            table[i, j] = table[i, j] + table[i - 1, j] + table[i, j - 1] - table[i - 1, j - 1]
    return table
""",
    "counted": """
import numpy as np
def confusion(truth, guess):
    table = np.zeros((10, 10), int)
    for t, g in zip(truth, guess):
        table[t, g] += 1
    return table
""",
    "scaled_in_another_shape_as_float32": """
import numpy as np
def features(images):
    narrow = images.astype(np.float32)
    return narrow.reshape(len(images), -1) / 255
""",
    "scaled_as_an_array_of_float32": """
import numpy as np
def features(images):
    return np.array(images, dtype=np.float32) / 255
""",
    "merge": """
import numpy as np
def merge(a, b):
    out = np.empty(len(a) + len(b), dtype=a.dtype)
    i = j = k = 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            out[k] = a[i]; i += 1
        else:
            out[k] = b[j]; j += 1
        k += 1
    return out
""",
    "edit_distance": """
import numpy as np
def distance(a, b):
    d = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int32)
    d[0] = np.arange(len(b) + 1)
    i = 1
    while i <= len(a):
        d[i, 0] = i
        j = 1
        while j <= len(b):
            other = d[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, other)
            j += 1
        i += 1
    return d[-1, -1]
""",
    "gd_full_batch": """
import numpy as np
def epoch(w, x, y, rate, rng, size=32):
    order = rng.permutation(len(x))
    for i in range(0, len(x), size):
        c = order[i:i + size]
        g = x[c].T @ (x[c] @ w - y[c])
        w -= rate * g
    return w
def accuracy(w, x, y):
    return float(np.mean((x @ w > 0) == y))
def run(w, x, y, x_val, y_val, rng):
    for number in range(20):
        w = epoch(w, x, y, 0.1, rng)
        print(number, accuracy(w, x_val, y_val))
""",
    "hand_zeroed": """
import numpy as np
def fit(net, criterion, loader, rate):
    for x, y in loader:
        loss = criterion(net(x), y)
        loss.backward()
        for p in net.parameters():
            p.data -= rate * p.grad
            p.grad[:] = 0
""",
    "hand_zeroed2": """
def step_all(ps, rate):
    for p in ps:
        p.data -= rate * p.grad
        p.grad *= 0
def fit(net, criterion, loader, rate):
    for x, y in loader:
        criterion(net(x), y).backward()
        step_all(net.parameters(), rate)
""",
    "gram_schmidt": """
import numpy as np
def orthonormal(vectors):
    basis = []
    for v in vectors:
        v = v.copy()
        for b in basis:
            v -= (v @ b) * b
        basis.append(v / np.linalg.norm(v))
    return np.stack(basis)
""",
    "copy_then_write": """
import numpy as np
def whiten(x):
    x = x.copy()
    x -= x.mean(axis=0)
    x /= x.std(axis=0)
    return x
def noisy(x, rng):
    x = np.array(x, copy=True)
    x[rng.random(len(x)) < 0.1] = 0
    return x
""",
    "worklist_seen": """
class T:
    def backward(self, grad):
        order, stack, seen = [], [self], set()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            order.append(node)
            for p in node.parents:
                stack.append(p)
        for node in order:
            node.run()
""",
    "helper_print_epoch": """
def show(epoch, loss):
    print(f"{epoch}: {loss}")
def train(net, opt, crit, loader, epochs):
    for epoch in range(epochs):
        total = 0.0
        for x, y in loader:
            opt.zero_grad()
            loss = crit(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        show(epoch, total)
""",
    "impure_helper": """
import numpy as np
rng = np.random.default_rng(0)
def mask(n):
    return (rng.random(n) < 0.5).astype(np.float32)
def table(n):
    return np.exp(np.arange(n, dtype=np.float32))
def train(net, loader, n=64):
    t = table(n)
    for x, y in loader:
        m = mask(n)
        net.learn(x * m * t, y)
""",
    "onehot_input": """
import numpy as np
def to_one_hot(tokens, size):
    hot = np.zeros((len(tokens), size), dtype=np.float32)
    hot[np.arange(len(tokens)), tokens] = 1
    return hot
def forward(tokens, w, size):
    return np.tanh(to_one_hot(tokens, size) @ w)
""",
    "shift_out": """
import numpy as np
def softmax(z):
    top = z.max(axis=1, keepdims=True)
    np.subtract(z, top, out=z)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z
""",
    "crops_list": """
import numpy as np
def corners(x, k):
    h, w = x.shape[2:]
    return np.concatenate([x[:, :, :k, :k], x[:, :, h - k:, w - k:]])
def tiles(x, k):
    return [x[:, i * k:(i + 1) * k] for i in range(4)]
""",
    "ensemble_stack": """
import numpy as np
def vote(models, x):
    return np.stack([m.predict(x) for m in models]).mean(axis=0)
def augment(batch, rng):
    return np.stack([np.roll(img, rng.integers(-2, 3), axis=1) for img in batch])
""",
    "totals": """
def add(totals, metrics):
    for name, value in metrics.items():
        totals[name] = totals[name] + value
    return totals
class Meter:
    def __init__(self):
        self.total = 0.0
    def update(self, value):
        self.total += value
""",
    "reset_buffer": """
import numpy as np
class Stream:
    def feed(self, chunk):
        joined = np.concatenate([self.rest, chunk])
        whole = len(joined) // 512 * 512
        self.rest = joined[whole:]
        return joined[:whole].reshape(-1, 512)
def run(stream, source, net):
    for chunk in source:
        net(stream.feed(chunk))
""",
    "plot_losses": """
import numpy as np
def smooth(losses, width=9):
    curve = np.asarray(losses, float)
    return np.convolve(curve, np.ones(width) / width, mode="valid")
""",
    "ndindex_heads": """
import numpy as np
def numeric(f, w, h=1e-3):
    slope = np.zeros_like(w)
    for spot in np.ndindex(*w.shape):
        old = w[spot]
        w[spot] = old + h
        up = f(w)
        w[spot] = old - h
        slope[spot] = (up - f(w)) / (2 * h)
        w[spot] = old
    return slope
""",
    "grid_search": """
from itertools import product
import numpy as np
def search(rates, sizes, score):
    table = np.zeros((len(rates), len(sizes)), dtype=np.float32)
    for i, j in product(range(len(rates)), range(len(sizes))):
        table[i, j] = score(rates[i], sizes[j])
    return table
""",
    "confusion_grid": """
import numpy as np
def mosaic(images, rows, cols):
    h, w = images.shape[1:]
    sheet = np.zeros((rows * h, cols * w), dtype=images.dtype)
    for r, c in np.ndindex(rows, cols):
        sheet[r * h:(r + 1) * h, c * w:(c + 1) * w] = images[r * cols + c]
    return sheet
""",
    "test_time": """
import numpy as np
def predict_all(net, loader):
    answers = [net(x).data for x, _ in loader]
    return np.concatenate(answers)
""",
    "online": """
import numpy as np
def tile_sum(x, s, n):
    for lo in range(0, len(x), n):
        x[lo:lo + n] -= s * x[lo:lo + n].mean(axis=0)
    return x
""",
    "sarsa": """
import numpy as np
def learn(q, env, rng, rate=0.1, gamma=0.99):
    for episode in range(500):
        s, done = env.reset(), False
        while not done:
            a = int(q[s].argmax()) if rng.random() > 0.1 else int(rng.integers(q.shape[1]))
            t, r, done = env.step(a)
            q[s, a] += rate * (r + gamma * q[t].max() - q[s, a])
            s = t
""",
    "lbfgs_like": """
import numpy as np
class Momentum:
    def __init__(self, params, lr):
        self.params, self.lr = params, lr
        self.v = {k: np.zeros_like(p) for k, p in params.items()}
    def update(self, grads):
        for k, g in grads.items():
            self.v[k] *= 0.9
            self.v[k] -= self.lr * g
            self.params[k] += self.v[k]
""",
}

EPOCH = """
import numpy as np
def epoch(w, x, y, rate, rng, size=32):
    order = rng.permutation(len(x))
    for i in range(0, len(x), size):
        c = order[i:i + size]
        g = x[c].T @ (x[c] @ w - y[c])
        w -= rate * g
    return w
def accuracy(w, x, y):
    return float(np.mean((x @ w > 0) == y))
"""
RUN = """
def run(w, x, y, x_val, y_val, rng):
    for number in range(20):
        w = epoch(w, x, y, 0.1, rng)
        print(number, accuracy(w, x_val, y_val))
"""


@pytest.mark.parametrize("way", WASTEFUL)
def test_an_inefficiency_is_found_however_it_is_written(way: str) -> None:
    name, source = WASTEFUL[way]
    assert name in {insight.name for insight in insights.find({"cell:work": source})}


@pytest.mark.parametrize("way", SOUND)
def test_sound_code_that_looks_similar_has_no_findings(way: str) -> None:
    assert insights.find({"cell:work": SOUND[way]}) == []


def test_an_epoch_in_a_module_is_not_mistaken_for_a_step() -> None:
    assert insights.find({"tinytorch/fit.py": EPOCH, "cell:run": RUN}) == []
