"""Readers of submissions and evidence, each as a function of bytes that anybody may have written.

A target that raises an undocumented exception is a finding. Hypothesis tries the targets in every
test run, in ``tests/submissions/test_properties.py``; ``benchmarks/fuzz.py`` is guided by coverage.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode, v4

from tinytorch_compete.challenges import packs
from tinytorch_compete.errors import EvidenceError, NotebookError, PackError, StoreError
from tinytorch_compete.feedback import outputs
from tinytorch_compete.model import Answer, Inputs
from tinytorch_compete.results.store import Store
from tinytorch_compete.sandbox.session.channel import Channel
from tinytorch_compete.sandbox.session.client import BoundedClient
from tinytorch_compete.sandbox.session.clock import Clock
from tinytorch_compete.sandbox.session.evidence import parse_line, parse_npy, parse_sizes
from tinytorch_compete.sandbox.session.session import UNINTELLIGIBLE
from tinytorch_compete.submissions import notebook, snapshot, submission

Target = Callable[[bytes], None]


def master() -> NotebookNode:
    """A small master notebook: one answer cell, one grading cell."""
    answer = v4.new_code_cell("x = 1", id="a")
    answer.metadata["nbgrader"] = {"grade_id": "answer", "solution": True}
    asked = v4.new_code_cell("probe()", id="b")
    asked.metadata["nbgrader"] = {"grade_id": "asked", "grade": True, "points": 2}
    return v4.new_notebook(cells=[answer, asked])


def a_notebook(data: bytes) -> None:
    """Read bytes as a notebook, assemble and show it; or raise only ``NotebookError``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.ipynb")
        path.write_bytes(data)
        with contextlib.suppress(NotebookError):
            read = notebook.read(path)
            nbformat.validate(outputs.with_plain_outputs(outputs.without_hidden_tests(read)))
            made = notebook.assemble(master(), read).notebook
            nbformat.validate(made)
            assert [cell.source for cell in made.cells if not notebook.is_solution(cell)] == [
                "probe()"
            ]


def a_header(data: bytes) -> None:
    """Read bytes as an answer's header: names and sizes, or an ``EvidenceError``."""
    with contextlib.suppress(EvidenceError):
        parse_line(data)
    with contextlib.suppress(EvidenceError):
        sizes = parse_sizes(data)
        assert all(name.isidentifier() and size > 0 for name, size in sizes.items())


def an_array(data: bytes) -> None:
    """Read bytes as ``.npy``: plain numbers no longer than the file, or an ``EvidenceError``."""
    with contextlib.suppress(EvidenceError):
        array = parse_npy("a", data)
        assert array.dtype.kind in "biuf"
        assert array.nbytes <= len(data)


class _Door:
    """A stand-in for the box and for a connection's other end; sends and stores nothing."""

    root = Path()

    @property
    def folders(self) -> _Door:
        return self

    def release(self, probe: str, inputs: Inputs) -> dict[str, Any]:
        return {}

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass


def a_stream(data: bytes) -> None:
    """Receive bytes on a probe's connection: a complete, proper answer, or the reason why not."""

    async def never(*_: object) -> Answer:
        raise AssertionError("nothing is timed here")

    async def serve() -> Channel:
        door: Any = _Door()
        channel = Channel(door, {"asked": Inputs()}, Clock(), never)
        channel.open("asked")
        reader = asyncio.StreamReader(limit=16 * 1024)
        reader.feed_data(data)
        reader.feed_eof()
        await channel._serve(reader, door)
        await channel.shut()
        return channel

    answer = asyncio.run(serve()).answers["asked"]
    assert bool(answer.problem) or all(a.dtype.kind in "biuf" for a in answer.arrays.values())


def messages(data: bytes) -> None:
    """Process kernel messages, one line of JSON each: the resulting outputs can be shown."""
    cell = v4.new_code_cell("x")
    client = BoundedClient(v4.new_notebook(cells=[cell]))
    for line in data.splitlines()[:20]:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict):
            client.keep_reply(0, message)
            with contextlib.suppress(*UNINTELLIGIBLE):  # the session ends the run for these
                client.process_message(message, cell, 0)
    nbformat.validate(outputs.with_plain_outputs(client.nb))


def a_challenge(data: bytes) -> None:
    """Read bytes as ``challenge.toml``: finite limits, or a ``PackError``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "challenge.toml")
        path.write_bytes(data)
        with contextlib.suppress(PackError):
            found = packs.read_challenge(path)
            assert all(0 < getattr(found.limits, name) < float("inf") for name in NUMBERS)
            assert found.metric(found.rank[0])


NUMBERS = ("memory_mib", "wall_s", "processes", "disk_mib", "threads")


def a_folder(data: bytes) -> None:
    """Take lines as file names in a submission's folder: hashes, or a ``NotebookError``."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "f")
        folder.mkdir()
        for number, line in enumerate(data.splitlines()[:12]):
            path = os.path.join(os.fsencode(folder), line.replace(b"/../", b"/").lstrip(b"/."))
            with contextlib.suppress(OSError, ValueError):  # not a file name that the disk accepts
                os.makedirs(os.path.dirname(path), exist_ok=True)
                _place(path, number)
        with contextlib.suppress(NotebookError):
            found = snapshot.load(submission.Submission("s", folder / "a.ipynb", folder))
            files = found.files
            assert len(found.sha) == 64
            assert all(name.isprintable() for name in files)


def _place(path: bytes, number: int) -> None:
    if number % 5 == 3:
        os.symlink(b"/etc/passwd", path)
    elif number % 7 == 6:
        os.mkfifo(path)
    else:
        with open(path, "xb") as file:
            file.write(b"x" * number)


def a_database(data: bytes) -> None:
    """Read bytes as the results database: results, or a ``StoreError``; never write to it."""
    if len(data) < 2:  # SQLite treats one byte as none: the file is new
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.sqlite")
        path.write_bytes(data)
        with contextlib.suppress(StoreError):
            kept = Store(path)
            for read in (kept.history, kept.latest, kept.graded, kept.check_chain):
                with contextlib.suppress(StoreError):
                    read()
            kept.close()
        assert path.read_bytes() == data


TARGETS: dict[str, Target] = {
    "notebook": a_notebook,
    "header": a_header,
    "array": an_array,
    "stream": a_stream,
    "messages": messages,
    "challenge": a_challenge,
    "folder": a_folder,
    "database": a_database,
}


def seeds(target: str) -> list[bytes]:
    """Sound examples of a target's input, to start from."""
    header = b'{"arrays": {"labels": %d}}\n'
    array = io.BytesIO()
    np.save(array, np.arange(6).reshape(2, 3), allow_pickle=False)
    sound = array.getvalue()
    stream = b'{"probe": "asked"}\n' + header % len(sound) + sound
    toml = Path(__file__).parents[1] / "challenge_notebooks/efficient-training/challenge.toml"
    said = [
        {"msg_type": "stream", "content": {"name": "stdout", "text": "a"}},
        {"msg_type": "error", "content": {"ename": "E", "evalue": "v", "traceback": ["t"]}},
        {"msg_type": "display_data", "content": {"data": {"text/plain": "a"}, "metadata": {}}},
        {"msg_type": "status", "content": {"execution_state": "busy"}},
        {"msg_type": "clear_output", "content": {"wait": True}},
    ]
    lines = b"\n".join(json.dumps(message).encode() for message in said)
    return {
        "notebook": [nbformat.writes(master()).encode()],
        "header": [header % 10],
        "array": [sound],
        "stream": [stream],
        "messages": [lines],
        "challenge": [toml.read_bytes()],
        "folder": [b"a.ipynb\nb/c.py\n.hidden\nd\nb/e"],
        "database": [_database()],
    }[target]


def _database() -> bytes:
    """A database of one result and its withdrawal."""
    from support.results import result

    with tempfile.TemporaryDirectory() as folder:
        kept = Store(Path(folder, "r.sqlite"))
        kept.append(result())
        kept.withdraw("ada", "c", "why")
        kept.close()
        return Path(folder, "r.sqlite").read_bytes()
