"""Write a leaderboard: a table of handles as CSV, and a notebook that is computed from it."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode, v4

from tinytorch_compete import files
from tinytorch_compete.errors import Fault
from tinytorch_compete.leaderboard import cells
from tinytorch_compete.model import Challenge
from tinytorch_compete.ranking import Row, columns

EXECUTION_S = 300


def publish(
    slug: str, challenge: Challenge, rows: Sequence[Row], folder: Path, *, html: bool = False
) -> list[Path]:
    """Write ``SLUG.csv`` and the executed ``SLUG.ipynb`` into a folder, and the page if asked for.

    Returns the files that were written, the notebook first. Raises ``StoreError`` if they can't be
    written and ``Fault`` if the notebook can't be executed.
    """
    table = folder / f"{slug}.csv"
    files.write_text(table, as_csv(challenge, rows))
    notebook = v4.new_notebook(
        cells=cells.cells(slug, challenge),
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    asyncio.run(_execute(notebook, folder))
    path = folder / f"{slug}.ipynb"
    files.write_text(path, nbformat.writes(notebook) + "\n")
    written = [path, table]
    if html:
        written.append(folder / f"{slug}.html")
        files.write_text(written[-1], as_html(notebook, challenge.title))
    return written


def as_csv(challenge: Challenge, rows: Sequence[Row]) -> str:
    """The board as CSV: division, rank, handle, tier and the figures.

    A withdrawn result's line has its division and rank; the rest is empty.
    """
    names = columns(challenge)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["division", "rank", "handle", "tier", *names])
    for row in rows:
        figures = [
            f"{row.estimates[name].value:.6g}" if name in row.estimates else "" for name in names
        ]
        writer.writerow([row.division, row.rank, row.handle, row.tier, *figures])
    return text.getvalue()


def as_html(notebook: NotebookNode, title: str) -> str:
    """The notebook as a page without its code."""
    from nbconvert import HTMLExporter  # costs 0.5 s to import, and only this function needs it

    exporter = HTMLExporter(exclude_input=True, exclude_output_prompt=True, embed_images=True)
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return str(body)


class _ThisPython(KernelSpecManager):  # type: ignore[misc]
    """Knows one kernel, this interpreter's: no kernelspec needs to be installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


async def _execute(notebook: NotebookNode, folder: Path) -> None:
    """Run a notebook of ours, in a plain kernel, in the folder that holds its data."""
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=_ThisPython())
    client = NotebookClient(notebook, km=manager, timeout=EXECUTION_S, record_timing=False)
    with tempfile.TemporaryDirectory(prefix="ttc-") as channels:
        if os.name == "posix":  # no port that others on this machine could connect to
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
