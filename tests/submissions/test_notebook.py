"""Reading, assembling and cleaning notebooks."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode, v4
from support.masters import cell, master

from tinytorch_compete.errors import Fault, NotebookError
from tinytorch_compete.feedback import outputs
from tinytorch_compete.submissions import notebook

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and so on").decode()


def student(*cells: NotebookNode) -> NotebookNode:
    return v4.new_notebook(cells=list(cells))


def sources(assembly: notebook.Assembly) -> dict[str, str]:
    return {notebook.grade_id(c): c.source for c in assembly.notebook.cells if notebook.grade_id(c)}


def test_assembly_takes_the_students_answers_and_nothing_else() -> None:
    answer = cell("one", "def one(): return 1", solution=True)
    answer.metadata["tags"] = ["skip-execution"]
    answer.outputs = [v4.new_output("stream", text="10/10")]
    forged = cell("test", "pass", points=100)
    assembly = notebook.assemble(master(), student(forged, answer, cell("two", "x", solution=True)))
    assert sources(assembly)["one"] == "def one(): return 1"
    assert sources(assembly)["test"] == master().cells[-1].source
    for assembled in assembly.notebook.cells:
        assert set(assembled.metadata) <= {"nbgrader"}
        assert assembled.get("outputs", []) == []
    assert notebook.points(assembly.notebook) == {"test": 2.0}


def test_assembly_survives_deleted_reordered_retyped_and_duplicated_cells() -> None:
    retyped = v4.new_markdown_cell("def two(): return 2")
    retyped.metadata["nbgrader"] = {"grade_id": "two"}
    first, second = (cell("one", f"def one(): return {n}", solution=True) for n in (1, 2))
    extra = v4.new_code_cell("x = 1")
    assembly = notebook.assemble(master(), student(retyped, first, second, extra))
    assert sources(assembly)["one"] == "def one(): return 1"
    assert sources(assembly)["two"] == "def two(): return 2"
    assert all(c.cell_type == "code" for c in assembly.notebook.cells if notebook.grade_id(c))
    assert (assembly.missing, assembly.surplus) == ((), 1)
    assembly = notebook.assemble(master(), student(first))
    assert (sources(assembly)["two"], assembly.missing) == ("", ("two",))


def test_try_out_cells_of_the_master_are_not_run() -> None:
    assembly = notebook.assemble(master(), student(cell("one", "x", solution=True)))
    assert not any("try it" in c.source for c in assembly.notebook.cells)


def test_another_challenges_notebook_is_refused() -> None:
    with pytest.raises(NotebookError, match="one, two"):
        notebook.assemble(master(), student(cell("three", "x", solution=True)))


def test_nbgrader_metadata_of_any_shape_is_survived() -> None:
    odd = [v4.new_code_cell("x", metadata={"nbgrader": value}) for value in (3, [], {}, "one")]
    odd.append(v4.new_code_cell("x", metadata={"nbgrader": {"grade_id": ["one"]}}))
    with pytest.raises(NotebookError):
        notebook.assemble(master(), student(*odd))


def test_hidden_tests_and_what_they_printed_are_taken_out() -> None:
    run = master()
    run.cells[-1].outputs = [v4.new_output("stream", text="secret = 1")]
    shown = outputs.without_hidden_tests(run)
    assert "secret" not in nbformat.writes(shown)
    assert shown.cells[-1].source == "# 2 points"


def test_outputs_are_text_and_pictures_only() -> None:
    run = student(v4.new_code_cell("1"))
    run.cells[0].outputs = [
        v4.new_output("display_data", {"text/html": "<script>x</script>", "text/plain": "table"}),
        v4.new_output("display_data", {"application/javascript": "alert(1)"}),
        v4.new_output("execute_result", {"image/svg+xml": "<svg onload='x'/>", "image/png": PNG}),
        v4.new_output("display_data", {"image/png": '"><script>x</script>'}),
        v4.new_output("display_data", {"image/png": "aaaa"}),
    ]
    shown = outputs.with_plain_outputs(run)
    assert [dict(output.data) for output in shown.cells[0].outputs] == [
        {"text/plain": "table"},
        {"image/png": PNG},
    ]


def test_pieces_of_a_stream_are_joined() -> None:
    run = student(v4.new_code_cell("1"))
    pieces = [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")]
    run.cells[0].outputs = [v4.new_output("stream", name=n, text=t) for n, t in pieces]
    shown = outputs.with_plain_outputs(run)
    streams = [(output.name, output.text) for output in shown.cells[0].outputs]
    assert streams == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_notebook_is_read_whatever_its_minor_version(tmp_path: Path) -> None:
    old = {"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": []}
    old["cells"] = [{"cell_type": "markdown", "metadata": {}, "source": ["a\n", "b"]}]
    read = notebook.read(write(tmp_path / "a.ipynb", json.dumps(old)))
    assert read.cells[0].source == "a\nb"
    assert read.cells[0].id


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("hello", "can't be parsed"),
        ('{"cells": [', "can't be parsed"),
        ("[" * 100_000, "nested too deeply|can't be parsed"),
        ("[]", "no nbformat field"),
        ('{"a": 1}', "no nbformat field"),
        ('{"nbformat": 3, "worksheets": []}', "format 3"),
        ('{"nbformat": "four"}', "format four"),
        ('{"nbformat": 4.0, "nbformat_minor": 5, "metadata": {}, "cells": []}', "format 4.0"),
        ('{"nbformat": 4, "cells": [' + "1," * 3000 + "1]}", "at most 2000"),
        ('{"nbformat": 4, "nbformat_minor": 5}', "not a valid notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}', "not a valid"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}', "not a valid"),
        (b"\xff\xfe\x00", "can't be parsed"),
        (b"PK\x03\x04 a zip", "can't be parsed"),
    ],
)
def test_what_is_no_notebook_gets_one_clear_error(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = write(tmp_path / "a.ipynb", content)
    with pytest.raises(NotebookError, match=words) as caught:
        notebook.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    with pytest.raises(NotebookError, match=r"200 MiB.* 20 MiB"):
        notebook.read(path)


def test_links_folders_and_absent_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link.ipynb").symlink_to("/etc/passwd")
    for name, words in (("link.ipynb", "a link"), ("none.ipynb", "no such file")):
        with pytest.raises(NotebookError, match=words):
            notebook.read(tmp_path / name)
    with pytest.raises(NotebookError, match="not a file"):
        notebook.read(tmp_path)


def test_a_file_that_cannot_be_read_is_our_fault(tmp_path: Path, monkeypatch) -> None:
    path = write(tmp_path / "a.ipynb", "{}")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(Fault, match="Permission denied"):
        notebook.read(path)


def test_the_masters_own_try_out_cell_is_no_surplus() -> None:
    original = master()
    cells = [
        cell for cell in original.cells if "try it" in cell.source or notebook.is_solution(cell)
    ]
    assert notebook.assemble(original, student(*cells)).surplus == 0


def test_a_command_to_this_package_is_no_surplus_but_a_profiled_cell_is() -> None:
    command = v4.new_code_cell("%load_ext tinytorch_compete\n\n%compete check")
    profiled = v4.new_code_cell("%%compete_profile\npredict(images)")
    answer = cell("one", "def one(): ...", solution=True)
    assert notebook.assemble(master(), student(answer, command)).surplus == 0
    assert notebook.assemble(master(), student(answer, command, profiled)).surplus == 1
