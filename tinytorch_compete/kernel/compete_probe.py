"""The student kernel's end of a probe: fetch the inputs, send the answer back.

Nothing here is trusted. Student code can read, patch or replace this file's functions and gains
nothing by it: no label, threshold or clock is on this side. Each probe has a stream socket of its
own, which carries one line of JSON in each direction and then the raw bytes of ``.npy`` files.
"""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np


class Probe:
    """A question from the grader: ``arrays`` and ``values`` hold its inputs, ``send`` answers it.

    A timed probe asks many questions, one after another; see ``questions``.
    """

    def __init__(self, name: str) -> None:
        self._stream = _connect(os.environ["COMPETE_PROBE"])
        self.values: dict[str, Any] = {}
        self.arrays: dict[str, np.ndarray] = {}
        try:
            self._stream.write(json.dumps({"probe": name}).encode() + b"\n")
            self._stream.flush()
            released = self._next()
        except ConnectionError:
            released = False
        if not released:
            raise ConnectionError(f"the grader isn't asking for {name!r} now")

    def questions(self) -> Iterator[Probe]:
        """Yield this probe once per question until the grader has no more; answer each question."""
        yield self
        while self._next():
            yield self

    def send(self, **arrays: np.ndarray) -> None:
        """Send the named arrays; raises ``ValueError`` for arrays of Python objects."""
        files = {name: _npy(array) for name, array in arrays.items()}
        header = {"arrays": {name: len(data) for name, data in files.items()}}
        self._stream.write(json.dumps(header).encode() + b"\n")
        for data in files.values():
            self._stream.write(data)
        self._stream.flush()

    def _next(self) -> bool:
        """Take the next question; false if there is none.

        An empty question, with which the grader measures the overhead of asking, is answered here.
        """
        while released := json.loads(self._stream.readline() or b"null"):
            if not released.get("empty"):
                self.values = released["values"]
                self.arrays = {k: np.load(p, mmap_mode="r") for k, p in released["arrays"].items()}
                return True
            self.send()
        return False

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _connect(address: str) -> io.BufferedRWPair:
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        peer = socket.create_connection((host, int(port)))
    else:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(address)
    with peer:
        return peer.makefile("rwb")


def _npy(array: np.ndarray) -> bytes:
    array = np.asarray(array, order="C")
    if array.dtype.hasobject:
        raise ValueError("an answer must be arrays of numbers, not of Python objects")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue() + array.tobytes()
