"""A small deep-learning framework in numpy: tensors, layers, losses, optimisers, data and training.

Read it in this order: ``graph`` (how gradients flow), ``tensor``, ``functional``, ``convolution``
and ``pooling`` (operations), ``layers``, ``losses``, ``optim``, ``data``, ``train``. Every number
is float32, images are (N, C, H, W), and the only dependency is numpy.
"""

from .data import DataLoader, TensorDataset
from .graph import no_grad
from .layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential, Sigmoid, Softmax
from .losses import CrossEntropyLoss, MSELoss
from .optim import SGD, Adam
from .tensor import Tensor
from .train import Trainer

__all__ = [
    "SGD",
    "Adam",
    "Conv2d",
    "CrossEntropyLoss",
    "DataLoader",
    "Flatten",
    "Layer",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tensor",
    "TensorDataset",
    "Trainer",
    "no_grad",
]
