"""Publish a leaderboard: its data as JSON, and a notebook computed from it."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode, v4

from tinytorch_compete.errors import Fault
from tinytorch_compete.leaderboard import board as boards
from tinytorch_compete.leaderboard import cells, ranking
from tinytorch_compete.leaderboard import html as leaderboard_html
from tinytorch_compete.leaderboard.board import Board
from tinytorch_compete.util import files

EXECUTION_S = 300


def publish(board: Board, folder: Path, *, html: bool = False, me: str = "") -> list[Path]:
    """Write ``NAME.json`` and the executed ``NAME.ipynb``, and the page if ``html`` is set.

    ``me`` is the handle that is marked "you are here". Returns the files written, the notebook
    first. Raises ``StoreError`` if they can't be written or no row has that handle, and ``Fault``
    if the notebook can't be executed.
    """
    boards.find(ranking.board(board.challenge, board.newest), me)
    data = folder / f"{board.name}.json"
    files.write_text(data, boards.encode(board))
    notebook = v4.new_notebook(
        cells=cells.cells(board, me),
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    asyncio.run(_execute(notebook, folder))
    path = folder / f"{board.name}.ipynb"
    files.write_text(path, nbformat.writes(notebook) + "\n")
    written = [path, data]
    if html:
        written.append(folder / f"{board.name}.html")
        title = f"{board.challenge.title}: {'final' if board.final else 'public'} leaderboard"
        files.write_text(written[-1], leaderboard_html.page(notebook, title))
    return written


class _ThisPython(KernelSpecManager):  # type: ignore[misc]
    """Offer one kernel, this interpreter's, so that no kernelspec needs to be installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


async def _execute(notebook: NotebookNode, folder: Path) -> None:
    """Run our own notebook in an unsandboxed kernel, in the folder that holds its data."""
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=_ThisPython())
    client = NotebookClient(notebook, km=manager, timeout=EXECUTION_S, record_timing=False)
    with tempfile.TemporaryDirectory(prefix="ttc-") as channels:
        if os.name == "posix":  # no port that other users could connect to
            manager.transport, manager.ip = "ipc", f"{channels}/k"
        try:
            await client.async_start_new_kernel(cwd=str(folder))
            await client.async_start_new_kernel_client()
            for index, cell in enumerate(notebook.cells):
                await client.async_execute_cell(cell, index)
        except (CellControlSignal, DeadKernelError, RuntimeError, OSError) as error:
            raise Fault(f"the leaderboard notebook can't be executed: {error}") from error
        finally:
            if client.kc is not None:
                client.kc.stop_channels()
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)
