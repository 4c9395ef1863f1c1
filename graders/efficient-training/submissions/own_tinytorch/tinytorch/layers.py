"""Layers with gradients by hand: forward keeps what backward needs."""

import numpy as np


class Linear:
    """x @ weight + bias."""

    def __init__(self, inputs, outputs, rng):
        scale = np.float32(np.sqrt(2 / inputs))
        self.weight = rng.standard_normal((inputs, outputs), dtype=np.float32) * scale
        self.bias = np.zeros(outputs, np.float32)

    def forward(self, x):
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, gradient):
        self.weight_gradient = self.x.T @ gradient
        self.bias_gradient = gradient.sum(axis=0)
        return gradient @ self.weight.T

    def step(self, rate):
        self.weight -= np.float32(rate) * self.weight_gradient
        self.bias -= np.float32(rate) * self.bias_gradient


class ReLU:
    """max(x, 0)."""

    def forward(self, x):
        self.positive = x > 0
        return x * self.positive

    def backward(self, gradient):
        return gradient * self.positive

    def step(self, rate):
        pass
