"""The names of deep-learning frameworks, which no challenge allows."""

from __future__ import annotations

# Import names; an isolating sandbox hides those that are installed.
FRAMEWORKS = tuple(
    "aesara autograd catboost chainer cuml cupy fastai flax functorch haiku jax jaxlib keras "
    "lightgbm lightning mindspore mlx mxnet onnxruntime paddle pytensor pytorch_lightning skl2onnx "
    "sklearn skorch tensorflow tf_keras theano thinc tinygrad torch torchgen torchvision "
    "transformers xgboost".split()
)
