"""The wheel that users get: complete, without solutions, and working in a clean environment."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run([sys.executable, *build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_pack_but_no_sample_submission(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "tinytorch_compete/_pack/challenge_notebooks/efficient-training/challenge.toml",
        "tinytorch_compete/_pack/challenge_notebooks/efficient-training/efficient-training.ipynb",
        "tinytorch_compete/_pack/graders/efficient-training/grader.py",
        "tinytorch_compete/reference/tinytorch/__init__.py",
        "tinytorch_compete/kernel/launch.py",
        "tinytorch_compete/py.typed",
        "tinytorch_compete/datasets/digits.npz",
        "tinytorch_compete/_docs/insights.md",
    ):
        assert wanted in names
    assert not [name for name in names if "_pack" in name and "submissions" in name]
    assert not [name for name in names if name.startswith("tests")]


def test_an_installed_wheel_finds_its_pack_and_grades(wheel: Path, tmp_path: Path) -> None:
    """A clean environment; what the wheel needs comes from this one, so that nothing is fetched."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    if not python.exists():
        pytest.skip("this test knows the layout of POSIX environments only")
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    ours = Path(next(p for p in sys.path if p.endswith("site-packages")))
    (site / "borrowed.pth").write_text(f"{ours}\n")
    bin_folder = tmp_path / "venv" / "bin"
    listed = subprocess.run(
        [bin_folder / "tito", "compete", "list"], capture_output=True, text=True, cwd=tmp_path
    )
    assert "efficient-training" in listed.stdout, listed.stderr
    guide = [bin_folder / "tito", "compete", "guide", "float64"]
    told = subprocess.run(guide, capture_output=True, text=True, cwd=tmp_path)
    assert told.stdout.startswith("float64") and "float32" in told.stdout, told.stderr
    where = "import tinytorch_compete.challenges.packs as p; print(p.built_in())"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.strip() == str(site / "tinytorch_compete" / "_pack")
    verified = subprocess.run(
        [bin_folder / "tito", "compete", "verify", "efficient-training"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert verified.returncode == 1
    assert "not in a wheel" in verified.stderr
    new = [bin_folder / "tito", "compete", "new", "mine", "--folder", tmp_path / "pack"]
    subprocess.run(new, check=True, capture_output=True, cwd=tmp_path)
    graded = subprocess.run(
        [bin_folder / "tito", "compete", "--pack", tmp_path / "pack", "verify", "mine"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert graded.returncode == 0, graded.stdout + graded.stderr
