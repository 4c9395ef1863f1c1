"""Text that can be shown and stored safely."""

from __future__ import annotations

from typing import Any


def clean(text: Any) -> str:
    """A text that can be written as UTF-8: halves of surrogate pairs become question marks."""
    return str(text).encode("utf-8", "replace").decode()
