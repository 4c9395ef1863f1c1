"""The README's tutorial, with its commands unchanged, on a small challenge."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import nbformat
from support.coursework import GOLD, PACK

from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.course import folder

README = Path(__file__).parents[2] / "README.md"


def sections() -> list[str]:
    """Return the shell commands of the README's section on nbgrader, block by block."""
    section = README.read_text().partition("## With nbgrader\n")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def shell(
    commands: str, cwd: Path, configuration: Path, slug: str = "target", pack: Path = PACK
) -> None:
    """Run commands unchanged, except for the challenge's name and its pack."""
    text = commands.replace("efficient-training", slug)
    text = text.replace("tito compete", f'tito compete --pack "{pack}"')
    environment = {**folder.environment(), "JUPYTER_CONFIG_PATH": str(configuration)}
    done = subprocess.run(
        ["bash", "-ec", text], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    exchange, home = tmp_path / "exchange", tmp_path / "home"
    for place in (exchange, home):
        place.mkdir()
    exchange.chmod(0o777)
    settings = f"c.Exchange.root = {str(exchange)!r}\nc.Exchange.cache = {str(home / 'cache')!r}\n"
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n" + settings)
    staff, student, end, _ = sections()
    shell(staff, tmp_path, tmp_path)
    fetch, hand_in = student.strip().splitlines()
    shell(fetch, home, tmp_path)
    path = home / "target" / "target.ipynb"
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "predict":
            cell.source = GOLD
    nbformat.write(notebook, path)
    shell(hand_in, home, tmp_path)
    course = tmp_path / "my-course"
    shell(end, course, tmp_path)
    (row,) = (course / "grades.csv").read_text().splitlines()[1:]
    assert row.startswith("target,") and row.endswith(",10.0,0.0,10.0,10.0")
    for name in ("results.csv", "canvas.csv", "moodle.csv"):
        assert (course / name).read_text().count("\n") >= 2
    assert len(list((course / "gradescope").glob("*/results.json"))) == 1
    assert list(exchange.glob("my-course/feedback/*.html"))


def test_sample_students_get_from_a_new_course_to_the_grade_sheets(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    scaffold("warm-up", pack)
    commands = sections()[3].replace("--students 20", "--students 3")
    shell(commands, tmp_path, tmp_path / "none", "warm-up", pack)
    course = tmp_path / "my-course"
    rows = (course / "grades.csv").read_text().splitlines()[1:]
    assert sorted(row.split(",")[3] for row in rows) == ["gold", "gold-2", "gold-3"]
    assert {row.split(",")[-2] for row in rows} == {rows[0].split(",")[-2]} != {"0.0"}
    for name in ("results.csv", "canvas.csv", "moodle.csv"):
        assert "gold-3" in (course / name).read_text()
    assert len(list((tmp_path / "exchange").glob("my-course/feedback/*.html"))) == 3
