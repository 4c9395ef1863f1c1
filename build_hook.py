"""Put the guide to insights into the wheel, and the pack without its sample submissions.

Those would give the solutions away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PackHook(BuildHookInterface):
    """Ship ``challenge_notebooks/`` and ``graders/`` as ``tinytorch_compete/_pack/``.

    An editable install needs nothing: there both are found in the checkout itself.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        guide = root / "docs" / "insights.md"
        build_data["force_include"][str(guide)] = "tinytorch_compete/_docs/insights.md"
        for folder in ("challenge_notebooks", "graders"):
            for path in sorted((root / folder).rglob("*")):
                parts = path.relative_to(root).parts
                if path.is_file() and not {"submissions", "__pycache__"} & set(parts):
                    build_data["force_include"][str(path)] = "/".join(
                        ("tinytorch_compete", "_pack", *parts)
                    )
