"""An nbclient that keeps what a cell prints within bounds while it streams in."""

from __future__ import annotations

from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode

from tinytorch_compete.model import MIB

KEPT_BYTES = 1 * MIB  # of one cell's outputs
FLOOD_BYTES = 64 * MIB  # of all outputs; beyond it the run is stopped
CUT = "\n[the rest of this cell's output was cut: it printed more than 1 MiB]\n"


class BoundedClient(NotebookClient):  # type: ignore[misc]
    """Executes cells, keeps the first ``KEPT_BYTES`` of each one's output, and counts all of it."""

    def __init__(self, nb: NotebookNode, **options: Any) -> None:
        super().__init__(nb, **options)
        self._cell_bytes: dict[int, int] = {}
        self.printed_bytes = 0

    @property
    def flooded(self) -> bool:
        """Whether the notebook has printed more than anyone could read."""
        return self.printed_bytes > FLOOD_BYTES

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Take one message of the kernel's unless its cell has said enough already."""
        size = _size(msg.get("content"))
        before = self._cell_bytes.get(cell_index, 0)
        self.printed_bytes += size
        if before + size > KEPT_BYTES and msg.get("msg_type") != "status":
            if before <= KEPT_BYTES:
                self._cell_bytes[cell_index] = KEPT_BYTES + 1
                cell.outputs.append(NotebookNode(output_type="stream", name="stderr", text=CUT))
            return None
        self._cell_bytes[cell_index] = before + size
        return super().process_message(msg, cell, cell_index)


def _size(content: Any) -> int:
    """About how many bytes of text a message's content holds."""
    if isinstance(content, str | bytes):
        return len(content)
    if isinstance(content, dict):
        return sum(_size(value) for value in content.values())
    if isinstance(content, list):
        return sum(_size(value) for value in content)
    return 8
