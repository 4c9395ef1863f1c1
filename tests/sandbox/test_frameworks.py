"""Other frameworks that are installed beside the grader are hidden from submissions."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.notebooks import make_notebook

from tinytorch_compete.model import Limits, Verdict
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.sandbox.isolation import bubblewrap

LIMITS = Limits(memory_mib=128, wall_s=30)


@pytest.fixture
def packages(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages in which somebody has installed torch."""
    folder = tmp_path_factory.mktemp("environment") / "site-packages"
    for name in ("torch", "torch/nn", "harmless"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("answer = 42\n")
    for above in (folder, *folder.parents[:3]):
        above.chmod(0o755)
    folders = [*bubblewrap.site_packages(), str(folder)]
    monkeypatch.setattr(bubblewrap, "site_packages", lambda: folders)
    return folder


def test_a_framework_that_is_installed_cannot_be_imported(
    packages: Path, walled_sandbox: Sandbox
) -> None:
    tries = (
        "import harmless; print(harmless.answer)",
        "import torch",
        "import torch.nn",
        f"open({str(packages / 'torch/nn/__init__.py')!r})",
        f"open({str(packages / 'torch/more.py')!r}, 'w')",
    )
    run = walled_sandbox.run(RunRequest(make_notebook(*tries), LIMITS, {}))
    assert [cell.status for cell in run.cells] == [Verdict.OK, *[Verdict.ERROR] * 4]
    messages = [cell.message for cell in run.cells]
    assert all("'torch' while grading" in message for message in messages[1:3])
    assert "No such file" in messages[3]
    assert "Read-only file system" in messages[4] or "Permission denied" in messages[4]


def test_a_real_framework_of_this_environment_is_hidden(walled_sandbox: Sandbox) -> None:
    pytest.importorskip("sklearn", reason="no other framework is installed here to be hidden")
    run = walled_sandbox.run(RunRequest(make_notebook("import sklearn"), LIMITS, {}))
    assert "'sklearn' while grading" in run.message


def test_folders_of_packages_are_found_by_one_name_each(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "python3.13" / "site-packages" / "jax"
    package.mkdir(parents=True)
    (tmp_path / "lib64").symlink_to("lib")
    assert [path for path in bubblewrap.frameworks([tmp_path]) if "jax" in path.name] == [package]
