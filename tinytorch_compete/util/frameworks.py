"""The names of deep-learning frameworks, which no challenge allows."""

from __future__ import annotations

# By the names that one imports; a box with walls hides the installed ones.
FRAMEWORKS = tuple(
    "aesara autograd catboost chainer cuml cupy fastai flax functorch haiku jax jaxlib keras "
    "lightgbm lightning mindspore mlx mxnet onnxruntime paddle pytensor pytorch_lightning skl2onnx "
    "sklearn skorch tensorflow tf_keras theano thinc tinygrad torch torchgen torchvision "
    "transformers xgboost".split()
)
