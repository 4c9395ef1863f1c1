"""Evidence is read as if its author meant harm."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.sandbox.session.evidence import MAX_BYTES, parse_line, parse_npy, parse_sizes


def npy(array: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def header(text: str, body: bytes = b"") -> bytes:
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + body


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4", ">f8"])
def test_plain_numbers_come_through(dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    np.testing.assert_array_equal(parse_npy("a", npy(array)), array)
    np.testing.assert_array_equal(parse_npy("a", npy(np.asfortranarray(array))), array)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an array",
        npy(np.array([object()], dtype=object), allow_pickle=True),
        npy(np.array(["text"])),
        npy(np.array([1j])),
        npy(np.zeros(2, dtype=[("a", "i4")])),
        npy(np.array(["2026-11-23"], dtype="M8[D]")),
        npy(np.zeros(4))[:-1],
        npy(np.zeros(4)) + b"more",
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", bytes(8)),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'x': 1}", bytes(8)),
        header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9223372036854775808)}"),
        header("{'descr': (), 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        header("{'descr': [('a', ())], 'fortran_order': False, 'shape': (1,)}", bytes(8)),
        header("__import__('os').system('true')"),
        header("(" * 900),
        header("{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 400),
    ],
)
def test_anything_else_is_no_array(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_npy("a", data)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"arrays": 3}\n',
        b'{"arrays": {"a": -1}}\n',
        b'{"arrays": {"a": true}}\n',
        b'{"arrays": {"a": 1e3}}\n',
        b'{"arrays": {"../a": 8}}\n',
        json.dumps({"arrays": {"a": MAX_BYTES + 1}}).encode() + b"\n",
        json.dumps({"arrays": {f"a{n}": 8 for n in range(17)}}).encode() + b"\n",
        b'{"arrays":' + b"[" * 10_000 + b"\n",
        b" " * 20_000 + b"\n",
    ],
)
def test_a_header_is_bounded_and_strict(line: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_sizes(line)


def test_a_proper_header_is_read() -> None:
    assert parse_sizes(b'{"arrays": {"labels": 128}}\n') == {"labels": 128}
    assert parse_line(b'{"probe": "holdout"}\n') == {"probe": "holdout"}
