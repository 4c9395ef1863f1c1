"""Properties of all submissions and all answers, not just of those that we thought of."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import targets
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat import v4
from support.masters import master

from tinytorch_compete.errors import EvidenceError, NotebookError
from tinytorch_compete.feedback import notebook as feedback_notebook
from tinytorch_compete.sandbox.session.evidence import parse_npy, parse_sizes
from tinytorch_compete.submissions import notebook

settings.register_profile("bounded", max_examples=150, deadline=None)
settings.load_profile("bounded")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
cells = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw"]) | json_values,
        "source": st.text() | st.lists(st.text(), max_size=3) | json_values,
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "nbgrader": st.fixed_dictionaries(
                    {"grade_id": st.sampled_from(["one", "two", "test", "setup"]) | json_values},
                    optional={"solution": json_values, "grade": json_values, "points": json_values},
                )
                | json_values,
                "tags": json_values,
            },
        )
        | json_values,
    },
    optional={"outputs": json_values, "execution_count": json_values, "id": json_values},
)
documents = st.fixed_dictionaries(
    {
        "nbformat": st.just(4) | json_values,
        "nbformat_minor": st.integers(0, 5) | json_values,
        "metadata": st.just({}) | json_values,
        "cells": st.lists(cells, max_size=5) | json_values,
    }
)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@given(st.binary(max_size=300))
def test_any_bytes_are_an_array_or_no_evidence(data: bytes) -> None:
    for candidate in (data, b"\x93NUMPY\x01\x00" + data, b"\x93NUMPY\x02\x00" + data):
        with contextlib.suppress(EvidenceError):
            assert parse_npy("a", candidate).dtype.kind in "biuf"


@given(st.lists(st.integers(0, 5), max_size=3), st.sampled_from("?bHidqe"), st.data())
def test_a_damaged_array_is_never_read_beyond_its_bytes(shape, dtype, data) -> None:
    sound = npy(np.ones(shape, dtype))
    assert parse_npy("a", sound).shape == tuple(shape)
    at = data.draw(st.integers(0, len(sound) - 1))
    damaged = sound[:at] + bytes([data.draw(st.integers(0, 255))]) + sound[at + 1 :]
    with contextlib.suppress(EvidenceError):
        assert parse_npy("a", damaged).nbytes <= len(damaged)


@given(st.binary(max_size=200) | json_values.map(lambda v: json.dumps(v).encode() + b"\n"))
def test_any_line_is_a_header_or_no_evidence(line: bytes) -> None:
    try:
        sizes = parse_sizes(line)
    except EvidenceError:
        return
    assert all(name.isidentifier() and size > 0 for name, size in sizes.items())


@given(documents | json_values)
def test_any_document_is_a_notebook_or_one_clear_error(document: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.ipynb")
        path.write_text(json.dumps(document))
        try:
            read = notebook.read(path)
            assembly = notebook.assemble(master(), read)
        except NotebookError as error:
            assert "\n" not in str(error)
            return
    fixed = {notebook.grade_id(c): c.source for c in master().cells if not notebook.is_solution(c)}
    run = {notebook.grade_id(c): c.source for c in assembly.notebook.cells}
    assert all(run[name] == source for name, source in fixed.items() if name)
    assert notebook.points(assembly.notebook) == {"test": 2.0}
    nbformat.validate(assembly.notebook)


@given(st.text())
def test_escaped_text_is_one_line_without_markup(text: str) -> None:
    shown = feedback_notebook.escape(text)
    assert not set(shown) & set("<>`*_[]$\n\r\x1b")
    nbformat.validate(v4.new_notebook(cells=[v4.new_markdown_cell(shown)]))


def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """Sound bytes with a few places cut out, doubled or overwritten."""
    for _ in range(draw(st.integers(0, 4))):
        at, end = sorted(draw(st.integers(0, len(sound))) for _ in range(2))
        end = min(end, at + draw(st.sampled_from([0, 1, 2, 8, len(sound)])))
        sound = sound[:at] + draw(st.binary(max_size=8) | st.just(sound[at:end] * 2)) + sound[end:]
    return sound


@pytest.mark.parametrize("name", list(targets.TARGETS))
def test_whatever_the_bytes_only_the_documented_errors_come_out(name: str) -> None:
    sound = targets.seeds(name)

    @given(st.data())
    def attempt(data: st.DataObject) -> None:
        draw = data.draw
        tried = draw(st.binary(max_size=200)) if draw(st.booleans()) else None
        targets.TARGETS[name](
            damaged(draw, draw(st.sampled_from(sound))) if tried is None else tried
        )

    attempt()


kinds = st.sampled_from(
    ["status", "clear_output", "stream", "display_data", "execute_result", "error", "comm_open"]
)
contents = st.dictionaries(
    st.sampled_from(
        "execution_state wait name text data metadata ename evalue traceback transient".split()
    ),
    json_values,
)


@given(st.lists(st.fixed_dictionaries({}, optional={"msg_type": kinds, "content": contents})))
def test_any_messages_leave_outputs_that_can_be_shown(messages: list[dict[str, object]]) -> None:
    targets.messages(b"\n".join(json.dumps(message).encode() for message in messages))
