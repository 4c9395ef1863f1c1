"""The nouns of the project as frozen data; public."""

from tinytorch_compete.model.result import *  # noqa: F403
