"""Read what a kernel sends as if its author meant harm: sizes, then headers, never pickles."""

from __future__ import annotations

import io
import json
import math
import warnings
from tokenize import TokenError
from typing import Any

import numpy as np

from tinytorch_compete.errors import EvidenceError
from tinytorch_compete.model import MIB

MAX_LINE = 16 * 1024
MAX_ARRAYS = 16
MAX_BYTES = 64 * MIB
MAX_NPY_HEADER = 1024
MAX_NAME = 64
# The exceptions that numpy raises for the headers that people and fuzzers have thought of.
UNREADABLE = (
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    ValueError,
)
KINDS = "biuf"  # booleans, integers and floats; no objects, strings, records or complex numbers


def parse_line(line: bytes) -> Any:
    """A line of JSON of at most ``MAX_LINE`` bytes; raises ``EvidenceError`` for anything else."""
    if len(line) > MAX_LINE or not line.endswith(b"\n"):
        raise EvidenceError("the answer's header is too long or was cut off")
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise EvidenceError("the answer's header is not JSON") from None


def parse_sizes(line: bytes) -> dict[str, int]:
    """The names and byte counts that an answer's header announces, within the bounds above."""
    header = parse_line(line)
    sizes = header.get("arrays") if isinstance(header, dict) else None
    if not isinstance(sizes, dict) or len(sizes) > MAX_ARRAYS:
        raise EvidenceError(f"the answer must announce at most {MAX_ARRAYS} named arrays")
    for name, size in sizes.items():
        proper = name.isidentifier() and len(name) <= MAX_NAME
        if type(size) is not int or size <= 0 or not proper:
            raise EvidenceError("the answer announces an array without a proper name or size")
    if sum(sizes.values()) > MAX_BYTES:
        raise EvidenceError(f"the answer is larger than {MAX_BYTES // MIB} MiB")
    return sizes


def parse_npy(name: str, data: bytes) -> np.ndarray[Any, Any]:
    """The array in the bytes of an ``.npy`` file, whose header must agree with their number.

    Raises ``EvidenceError`` for objects, strings, records, complex numbers and false headers.
    """
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        with warnings.catch_warnings():  # about Python 2's headers, on the grader's terminal
            warnings.simplefilter("ignore")
            shape, fortran, dtype = readers[version](file, max_header_size=MAX_NPY_HEADER)
    except UNREADABLE:
        raise EvidenceError(f"the array {name!r} of the answer is not a plain .npy file") from None
    if dtype.kind not in KINDS or dtype.hasobject:
        raise EvidenceError(f"the array {name!r} of the answer has the type {dtype}, not numbers")
    if any(type(n) is not int or not 0 <= n <= MAX_BYTES for n in shape) or len(shape) > 8:
        raise EvidenceError(f"the array {name!r} of the answer has an impossible shape")
    body = memoryview(data)[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise EvidenceError(f"the array {name!r} of the answer is not as long as its header says")
    array = np.frombuffer(body, dtype)
    return array.reshape(shape, order="F" if fortran else "C")
