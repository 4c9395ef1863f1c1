"""An nbclient that keeps a cell's output within bounds while it streams in."""

from __future__ import annotations

import collections
from typing import Any

from jupyter_client.asynchronous import AsyncKernelClient
from nbclient import NotebookClient
from nbformat import NotebookNode

from tinytorch_compete.model import MIB
from tinytorch_compete.sandbox.contract import KEPT_MEDIA
from tinytorch_compete.util.text import clean

KEPT_BYTES = 1 * MIB  # of one cell's outputs
SHORT = 300  # characters that are kept of an output beyond that
MESSAGE_BYTES = 200  # the cost of a message beside its content
CUT = "\n[the rest of this cell's output was cut: it printed more than 1 MiB]\n"


class QuietClient(AsyncKernelClient):  # type: ignore[misc]
    """A client without the channels that nobody reads: messages there aren't even received."""

    def start_channels(self) -> None:
        """Open only the shell and the output channel."""
        super().start_channels(stdin=False, hb=False, control=False)


class BoundedClient(NotebookClient):  # type: ignore[misc]
    """Executes cells and keeps the first ``KEPT_BYTES`` of each one's output."""

    def __init__(self, nb: NotebookNode, **options: Any) -> None:
        super().__init__(nb, on_cell_executed=self.keep_reply, **options)
        self._sizes: dict[int, int] = collections.defaultdict(int)  # bytes, by cell
        self._cut: dict[int, set[str]] = collections.defaultdict(set)  # kinds, by cell
        self.replies: dict[int, dict[str, Any]] = {}

    def keep_reply(self, cell_index: int, execute_reply: dict[str, Any], **_: Any) -> None:
        """Remember the kernel's reply, which tells of errors that are missing in the outputs."""
        content = execute_reply.get("content")
        self.replies[cell_index] = content if isinstance(content, dict) else {}

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Take one message of the kernel, if it is valid and its cell's output within bounds.

        Fields that the notebook format has no place for are dropped, as are widgets, updates of
        earlier outputs, and the kernel's own execution count.
        """
        kind = str(msg.get("msg_type"))
        content = _valid(kind, msg.get("content"))
        if content is not None and kind == "clear_output":
            self._sizes[cell_index] = 0
            self._cut[cell_index] = set()
        elif content is not None and kind != "status":
            size = MESSAGE_BYTES + _size(msg["content"])
            content = self._fit(cell_index, size, content.get("name", kind), content)
        if content is None:
            return None
        return super().process_message({**msg, "content": content}, cell, cell_index)

    def _fit(
        self, cell_index: int, size: int, kind: str, content: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The part of a message that fits its cell's bound; ``None`` for nothing."""
        self._sizes[cell_index] += size
        if self._sizes[cell_index] <= KEPT_BYTES:
            return content
        if kind in self._cut[cell_index]:
            return None
        self._cut[cell_index].add(kind)
        return _shortened(kind, content)


def _shortened(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """Shorten a cell's first message of a kind beyond the bound.

    Nbgrader reads a plain assignment's points from whether there is an error, output on ``stderr``
    or a result, so each of these keeps its kind.
    """
    if kind in ("stdout", "stderr"):
        return {**content, "text": CUT}
    if kind == "execute_result":
        plain = content["data"].get("text/plain", "")
        return {**content, "data": {"text/plain": plain[:SHORT]}}
    if kind == "error":
        return {
            "ename": content["ename"][:SHORT],
            "evalue": content["evalue"][:SHORT],
            "traceback": [],
        }
    return {**content, "data": {"text/plain": CUT}}


def _valid(kind: Any, content: Any) -> dict[str, Any] | None:
    """The fields of a message that we use, as text; ``None`` for a message that we don't use."""
    if not isinstance(content, dict):
        return None
    if kind == "status":
        return {"execution_state": str(content.get("execution_state"))}
    if kind == "clear_output":
        return {"wait": bool(content.get("wait"))}
    if kind == "stream":
        name = "stderr" if content.get("name") == "stderr" else "stdout"
        return {"name": name, "text": clean(content.get("text", ""))}
    if kind in ("display_data", "execute_result"):
        data = content.get("data")
        data = data if isinstance(data, dict) else {}
        media = {key: clean(data[key]) for key in KEPT_MEDIA if isinstance(data.get(key), str)}
        return {"data": media, "metadata": {}, "execution_count": None}
    if kind == "error":
        lines = content.get("traceback")
        lines = [clean(line) for line in lines] if isinstance(lines, list) else []
        texts = {key: clean(content.get(key, "")) for key in ("ename", "evalue")}
        return {**texts, "traceback": lines}
    return None


def _size(content: Any) -> int:
    """About how many bytes of text a message's content holds."""
    if isinstance(content, str | bytes):
        return len(content)
    if isinstance(content, dict):
        return sum(_size(key) + _size(value) for key, value in content.items())
    if isinstance(content, list):
        return sum(_size(value) for value in content)
    return 8
