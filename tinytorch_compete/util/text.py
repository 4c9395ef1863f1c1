"""Make texts safe to show and store."""

from __future__ import annotations

from typing import Any


def clean(text: Any) -> str:
    """Return a text that can be written as UTF-8: lone surrogates become question marks."""
    return str(text).encode("utf-8", "replace").decode()
