"""The limits that this machine's sandbox holds, layer by layer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import psutil
import pytest
from support.notebooks import make_notebook
from support.sandboxes import weakened

from tinytorch_compete.kernel import landlock
from tinytorch_compete.model import Inputs, Limits, Verdict
from tinytorch_compete.sandbox.contract import RunRequest, Sandbox
from tinytorch_compete.sandbox.session import supervisor

LIMITS = Limits(memory_mib=128, wall_s=30)
CHILDREN = """\
import multiprocessing, time
def eat():
    eaten = bytearray(90 * 2**20)
    time.sleep(3)
children = [multiprocessing.get_context("fork").Process(target=eat) for _ in range(4)]
for child in children: child.start()
for child in children: child.join()
"""


def texts(run, index: int = 0) -> str:
    outputs = run.notebook.cells[index].outputs
    return "".join(o.get("text", "") for o in outputs if o.output_type == "stream")


def test_a_large_allocation_raises_and_the_next_cell_lives(real_sandbox: Sandbox) -> None:
    hungry = "import numpy as np\na = np.ones(200 * 2**20, dtype='u1')"
    run = real_sandbox.run(RunRequest(make_notebook(hungry, "print('alive')"), LIMITS, {}))
    assert [cell.status for cell in run.cells] == [Verdict.OVER_MEMORY, Verdict.OK]
    assert "MemoryError" in run.message
    assert texts(run, 1) == "alive\n"


def test_an_allocation_within_the_budget_is_fine(real_sandbox: Sandbox) -> None:
    notebook = make_notebook("import numpy as np\na = np.ones(100 * 2**20, dtype='u1')")
    run = real_sandbox.run(RunRequest(notebook, LIMITS, {}))
    assert run.verdict == Verdict.OK
    assert run.peak_mib == pytest.approx(100, abs=12)


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Walls without a cgroup, whose watcher looks only at the start and the end of a cell."""
    monkeypatch.setattr(supervisor, "WATCH_S", 1000)
    return weakened(monkeypatch, walls=True, group=False)


def test_memory_that_was_freed_between_two_looks_is_in_the_peak(unwatched: Sandbox) -> None:
    run = unwatched.run(
        RunRequest(make_notebook("import numpy as np", "np.ones(100 * 2**17)"), LIMITS, {})
    )
    assert run.peak_mib == pytest.approx(100, abs=3)


def test_memory_over_the_budget_between_two_looks_ends_the_run(unwatched: Sandbox) -> None:
    shared = "import mmap\nroom = mmap.mmap(-1, 200 * 2**20)\n"
    shared += "for _ in range(200): room.write(bytes(2**20))\nroom.close()"
    run = unwatched.run(RunRequest(make_notebook(shared), LIMITS, {}))
    assert run.verdict == Verdict.OVER_MEMORY


def test_files_that_were_given_are_no_memory_however_they_are_read(
    unwatched: Sandbox, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)  # so that a kernel of another user can read it
    np.save(tmp_path / "images.npy", np.ones(40 * 2**17))
    sums = "np.load('data/images.npy', mmap_mode='r').sum()"
    probe = "from compete_probe import Probe\nwith Probe('c1') as p: p.send(x=p.arrays['x'].sum())"
    given = {"c1": Inputs({"x": np.ones(40 * 2**17)})}
    notebook = make_notebook(f"import numpy as np\n{sums}", probe, sums)
    run = unwatched.run(RunRequest(notebook, LIMITS, given, data=tmp_path))
    assert run.verdict == Verdict.OK
    assert run.peak_mib < 10


def test_memory_in_children_is_stopped(real_sandbox: Sandbox) -> None:
    run = real_sandbox.run(RunRequest(make_notebook("1", CHILDREN, "2"), LIMITS, {}))
    assert [cell.status for cell in run.cells] == [Verdict.OK, Verdict.OVER_MEMORY, None]
    if any("cgroup" in layer for layer in run.layers):
        assert 128 <= run.peak_mib <= 128 * 1.05


def test_memory_in_shared_memory_files_is_stopped(walled_sandbox: Sandbox) -> None:
    fill = "file = open('/dev/shm/x', 'wb')\nfor _ in range(200): file.write(bytes(2**20))"
    limits = Limits(memory_mib=64, wall_s=30, disk_mib=512)
    run = walled_sandbox.run(RunRequest(make_notebook(fill), limits, {}))
    if not any("cgroup" in layer for layer in run.layers):
        pytest.skip("without a cgroup the tmpfs is bounded by its size alone")
    assert run.verdict == Verdict.OVER_MEMORY


def test_a_kernel_that_ends_itself_is_an_error(real_sandbox: Sandbox) -> None:
    probe = "from compete_probe import Probe\nwith Probe('c0') as p: p.send(x=p.arrays['x'])"
    run = real_sandbox.run(
        RunRequest(
            make_notebook(probe, "import os; os._exit(0)", "1"), LIMITS, {"c0": Inputs({"x": [1]})}
        )
    )
    assert [cell.status for cell in run.cells] == [Verdict.OK, Verdict.ERROR, None]
    assert run.answers["c0"].problem == ""


def test_endless_native_code_is_stopped(real_sandbox: Sandbox) -> None:
    stubborn = "import signal, ctypes\nsignal.pthread_sigmask(signal.SIG_BLOCK, {2, 15})\n"
    stubborn += "ctypes.CDLL(None).pause()"
    run = real_sandbox.run(RunRequest(make_notebook(stubborn), Limits(memory_mib=64, wall_s=1), {}))
    assert run.verdict == Verdict.OVER_TIME


def test_a_flood_of_output_is_cut(real_sandbox: Sandbox) -> None:
    flood = "for _ in range(300): print('x' * 10_000)"
    run = real_sandbox.run(RunRequest(make_notebook(flood), LIMITS, {}))
    assert run.verdict == Verdict.OK
    assert len(texts(run)) < 1.2 * 2**20
    assert "was cut" in texts(run)


def test_the_kind_of_an_output_after_too_much_output_is_kept(walled_sandbox: Sandbox) -> None:
    flood = "import sys\nprint('x' * 2**21)\n"
    ends = ("2", "1 / 0", "print('no', file=sys.stderr)", "from IPython.display import *; Image")
    run = walled_sandbox.run(RunRequest(make_notebook(*(flood + end for end in ends)), LIMITS, {}))
    kinds = [[o.get("name", o.output_type) for o in cell.outputs] for cell in run.notebook.cells]
    later = ["execute_result", "error", "stderr", "execute_result"]
    assert kinds == [["stdout", kind] for kind in later]
    assert run.notebook.cells[0].outputs[1].data["text/plain"] == "2"
    assert run.cells[1].message == "ZeroDivisionError: division by zero"


def test_output_that_was_cleared_takes_no_room(walled_sandbox: Sandbox) -> None:
    cell = (
        "from IPython.display import clear_output\nimport sys\nprint('x' * 2**21, file=sys.stderr)"
    )
    run = walled_sandbox.run(
        RunRequest(make_notebook(cell + "\nclear_output()\nprint('done')"), LIMITS, {})
    )
    assert [output.text for output in run.notebook.cells[0].outputs] == ["done\n"]


def test_a_cell_that_ignores_its_interruption_ends_the_run(real_sandbox: Sandbox) -> None:
    ignores = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    run = real_sandbox.run(RunRequest(make_notebook(ignores, "1"), Limits(128, 60), {}, cell_s=1))
    assert [cell.status for cell in run.cells] == [Verdict.OVER_TIME, None]
    assert "be interrupted" in run.message


def test_nothing_outlives_the_run(real_sandbox: Sandbox) -> None:
    before = set(psutil.pids())
    daemon = "import subprocess\nsubprocess.Popen(['sleep', '61'], start_new_session=True)"
    run = real_sandbox.run(RunRequest(make_notebook(daemon), LIMITS, {}))
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61"]]
    left = [process for process in left if process.pid not in before]
    for process in left:
        process.kill()
    if "bubblewrap" not in run.layers and "watcher" in run.layers:
        return  # the weakest layer doesn't promise this
    assert not left


def test_folders_are_gone_after_the_run(
    real_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []

    def remembering(**options: str) -> str:
        folders.append(mkdtemp(**options))
        return folders[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", remembering)
    real_sandbox.run(RunRequest(make_notebook("open('file', 'w').write('x')"), LIMITS, {}))
    assert folders
    assert not any(Path(folder).exists() for folder in folders)


def test_there_is_no_network(walled_sandbox: Sandbox) -> None:
    connect = "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)"
    run = walled_sandbox.run(RunRequest(make_notebook(connect), LIMITS, {}))
    assert "unreachable" in run.message.lower()


def test_the_system_is_read_only_and_this_package_out_of_sight(walled_sandbox: Sandbox) -> None:
    look = """\
import pathlib
for path in ("/etc/x", "/usr/x", "/x", "/dev/x", "data/x"):
    try:
        pathlib.Path(path).write_text("x")
        print("wrote", path)
    except OSError:
        pass
try:
    import tinytorch_compete
    print("found the package")
except ImportError:
    pass
"""
    run = walled_sandbox.run(
        RunRequest(make_notebook(look), LIMITS, {}, data=Path(__file__).parent)
    )
    assert run.verdict == Verdict.OK
    assert texts(run) == ""


def test_scratch_space_is_bounded(walled_sandbox: Sandbox) -> None:
    fill = """\
import pathlib
n = 0
try:
    for n in range(300):
        pathlib.Path(f"/tmp/{n}").write_bytes(bytes(2**20))
except OSError as error:
    print(n, error.strerror)
"""
    run = walled_sandbox.run(RunRequest(make_notebook(fill), Limits(256, 30, disk_mib=8), {}))
    written, reason = texts(run).split(" ", 1)
    assert int(written) <= 8
    assert reason.strip() == "No space left on device"


def test_no_new_user_namespace(walled_sandbox: Sandbox) -> None:
    unshare = "import ctypes\nprint(ctypes.CDLL(None).unshare(0x10000000))"
    run = walled_sandbox.run(RunRequest(make_notebook(unshare), LIMITS, {}))
    if "seccomp" not in run.layers:
        pytest.skip("no system-call filter is known for this machine")
    assert texts(run) == "-1\n"


def test_without_walls_nothing_but_the_system_and_the_own_folder_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("the labels")
    attempts = f"""\
import os, pathlib, socket, subprocess, sys
for do in (
    lambda: open({str(tmp_path / "secret")!r}).read(),
    lambda: os.listdir("/tmp"),
    lambda: pathlib.Path("/tmp/left").write_text("here"),
    lambda: socket.create_connection(("127.0.0.1", 9)),
):
    try:
        do()
        print("could")
    except PermissionError:
        print("refused")
pathlib.Path("own").write_text("kept")
print(subprocess.run([sys.executable, "-c", "print(open('own').read())"],
                     capture_output=True, text=True).stdout)
"""
    if landlock.abi() < landlock.TCP_ABI:
        pytest.skip("this machine's Landlock is off or doesn't know TCP")
    sandbox = weakened(monkeypatch, walls=False, group=False)
    run = sandbox.run(RunRequest(make_notebook(attempts), LIMITS, {}))
    assert texts(run).split() == [*["refused"] * 4, "kept"]


def test_no_thread_can_make_a_file_in_the_channels_folder(real_sandbox: Sandbox) -> None:
    thread = """\
import asyncio, os, socket
folder = os.path.dirname(os.environ["COMPETE_PROBE"])
def make():
    results = []
    for do in (
        lambda: open(f"{folder}/x", "w"),
        lambda: open(f"{folder}/inside.json", "a"),
        lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR),
        lambda: os.mkdir(f"{folder}/x"),
        lambda: os.symlink("y", f"{folder}/x"),
        lambda: os.unlink(f"{folder}/k-5"),
        lambda: os.rename(f"{folder}/k-5", f"{folder}/k-6"),
        lambda: os.mkfifo(f"{folder}/x"),
    ):
        try:
            do()
            results.append("made")
        except OSError:
            results.append("refused")
    return results
def make_socket():
    try:
        os.link(f"{folder}/k-5", f"{folder}/k-6")
        socket.socket(socket.AF_UNIX).bind(f"{folder}/k-7")
        return "made"
    except OSError:
        return "refused"
async def there(): return make()
loop = get_ipython().kernel.iopub_thread.io_loop.asyncio_loop
print(*make(), *asyncio.run_coroutine_threadsafe(there(), loop).result(10), make_socket())
"""
    if not landlock.abi():
        pytest.skip("this machine has no Landlock")
    run = real_sandbox.run(RunRequest(make_notebook(thread), LIMITS, {}))
    assert (run.message, texts(run).split()) == ("", ["refused"] * 17)


def test_modules_beside_the_notebook_cannot_break_the_kernel(
    real_sandbox: Sandbox, tmp_path: Path
) -> None:
    for name in ("json.py", "numpy.py", "ipykernel.py", "sitecustomize.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    run = real_sandbox.run(
        RunRequest(make_notebook("print('started')"), LIMITS, {}, files=tmp_path)
    )
    assert texts(run) == "started\n"


def test_the_students_own_framework_comes_first(real_sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "tinytorch").mkdir()
    (tmp_path / "tinytorch" / "__init__.py").write_text("WHOSE = 'mine'")
    show = make_notebook("import tinytorch; print(getattr(tinytorch, 'WHOSE', 'reference'))")
    assert texts(real_sandbox.run(RunRequest(show, LIMITS, {}, files=tmp_path))) == "mine\n"
    assert texts(real_sandbox.run(RunRequest(show, LIMITS, {}))) == "reference\n"


def test_threads_are_the_limits(real_sandbox: Sandbox) -> None:
    look = make_notebook("import os; print(os.environ['OPENBLAS_NUM_THREADS'])")
    assert texts(real_sandbox.run(RunRequest(look, Limits(64, 10, threads=2), {}))) == "2\n"
