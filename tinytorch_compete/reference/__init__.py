"""The reference TinyTorch, a package that kernels find on their path."""
