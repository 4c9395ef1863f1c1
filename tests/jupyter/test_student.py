"""``%compete`` in a kernel: what is shown, what completes, and how an interruption ends."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from jupyter_client.manager import KernelManager, start_new_kernel
from nbformat import v4
from support.student import GOLD, write_answer

import tinytorch_compete
from tinytorch_compete.challenges import packs
from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.cli.app import run
from tinytorch_compete.jupyter import student
from tinytorch_compete.participants import registration
from tinytorch_compete.profiling import roofline
from tinytorch_compete.rendering.column import Column
from tinytorch_compete.rendering.panel import Panel, as_html


@pytest.fixture
def shell(
    challenge: Challenge, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InteractiveShell]:
    """A shell in a student's folder, where the only challenge is ``mine``."""
    monkeypatch.setattr(packs, "find", lambda extra=(): {"mine": challenge})
    monkeypatch.setattr(roofline, "user_cache_path", lambda _: home.parent)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "config"))
    monkeypatch.chdir(home)
    shell = InteractiveShell.instance()
    tinytorch_compete.load_ipython_extension(shell)
    yield shell
    InteractiveShell.clear_instance()


def shown(shell: InteractiveShell, line: str) -> str:
    """Return what a line displays, as HTML or Markdown; fail if it crashes."""
    with capture_output() as captured:
        done = shell.run_cell(line)
    assert done.success, captured.stdout
    data = [output.data for output in captured.outputs]
    return "\n".join(d.get("text/html") or d.get("text/markdown") or "" for d in data)


def test_a_student_never_leaves_the_notebook(
    shell: InteractiveShell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Tell ten handwritten digits apart" in shown(shell, "%compete list")
    assert "You joined mine" in shown(shell, "%compete join mine --handle 'Ada Lo'")
    write_answer(home / "mine")
    (home / "drop").mkdir()
    monkeypatch.chdir(home / "mine")
    monkeypatch.setenv("JPY_SESSION_NAME", "deep/mine.ipynb")
    sent = shown(shell, f"%compete submit --to {home / 'drop'}")
    assert sent.index("Will be sent: mine.ipynb") < sent.index("Receipt: mine")
    assert "No feedback has come back yet" in shown(shell, "%compete results --detailed")
    assert "Hint 1 of" in shown(shell, "%compete hint")
    assert shown(shell, "%compete guide").startswith("#")


def test_the_leaderboard_that_a_course_published_is_shown(
    shell: InteractiveShell, home: Path
) -> None:
    shown(shell, "%compete join mine --handle 'Ada Lo'")
    write_answer(home / "mine")
    (home / "drop").mkdir()
    shown(shell, "%compete submit --to drop --challenge mine")
    compete = ["--pack", str(home.parent / "pack")]
    assert run([*compete, "grade", "mine", "drop"], "tito compete") == 0
    assert run([*compete, "leaderboard", "mine"], "tito compete") == 0
    assert "OK" in shown(shell, "%compete results --from graded/feedback")
    assert "Ada Lo-" in shown(shell, "%compete leaderboard graded/leaderboard/mine.json")


def test_joining_in_a_notebook_takes_flags_and_says_which_it_had_to_guess(
    shell: InteractiveShell, home: Path
) -> None:
    text = shown(shell, "%compete join mine --team 'Team Rocket' --word 'open sesame'")
    assert "--show handle, anonymous or nothing" in text
    assert registration.read(home / "mine").team == "Team Rocket"
    text = shown(shell, "%compete join mine --show anonymous --no-progress")
    assert "a line without a name" in text
    assert "--show handle, anonymous or nothing" not in text
    assert registration.read(home / "mine").show == "anonymous"
    shown(shell, "%compete join mine --progress --team ''")
    who = registration.read(home / "mine")
    assert (who.team, who.word, who.progress) == ("", "", True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%compete join mine --show all", "invalid choice: &#x27;all&#x27;"),
        ("%compete join mine --team '<b>x'", "--team &#x27;&lt;b&gt;x&#x27;"),
        ("%compete frobnicate", "there is no %compete frobnicate"),
        ("%compete join", "arguments are required: slug"),
        ("%compete join nothing", "there is no challenge"),
        ("%compete hint", "nothing was joined here"),
        ("%compete results", "tito compete list"),
        ("%compete check --speed 3", "unrecognized arguments: --speed"),
        ("%compete join 'mine", "No closing quotation"),
        ("%compete leaderboard nowhere.json", "nowhere.json: the board"),
    ],
)
def test_wrong_words_are_one_sentence_and_no_traceback(
    shell: InteractiveShell, line: str, message: str
) -> None:
    text = shown(shell, line)
    assert message in text
    assert 'role="alert"' in text


def test_words_challenges_notebooks_and_options_complete(
    shell: InteractiveShell, home: Path
) -> None:
    def after(line: str) -> list[str]:
        event = SimpleNamespace(line=line, symbol=line.split(" ")[-1])
        return student.complete(shell, event)

    assert {"--team", "--show", "--no-progress"} <= set(after("%compete join mine --"))
    assert after("%compete s") == ["submit"]
    assert after("%compete join m") == ["mine"]
    assert "--handle" in after("%compete join mine --")
    (home / "own.ipynb").write_text("{}")
    assert after("%compete check o") == after("%compete profile o") == ["own.ipynb"]
    assert after("%compete p") == ["profile"]
    assert "--dataset" in after("%compete profile own.ipynb --")
    assert "submit" in shell.complete("s", "%compete s", 10)[1]


def test_the_open_notebook_is_profiled_as_it_was_saved(
    shell: InteractiveShell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "%load_ext tinytorch_compete\nkept = bytearray(48 << 20)\nif kept:\n    %compete profile"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(text), v4.new_code_cell("1 / 0")])
    (home / "own.ipynb").write_text(nbformat.writes(notebook))
    assert "which notebook?" in shown(shell, "%compete profile")
    monkeypatch.setenv("JPY_SESSION_NAME", "deep/own.ipynb")
    html = shown(shell, "%compete profile")
    for words in ("kept = bytearray(48", "48.0", "ZeroDivisionError", "doctor --roofline"):
        assert words in html
    assert shown(shell, "%compete profile own.ipynb").count("48.0") == html.count("48.0")


def test_a_joined_notebook_is_profiled_as_its_challenge_runs_it(
    shell: InteractiveShell, home: Path
) -> None:
    shown(shell, "%compete join mine")
    write_answer(home / "mine")
    html = shown(shell, "%compete profile mine/mine.ipynb")
    assert "Cell predict" in html
    assert "Cell holdout" in html  # which a student's notebook doesn't have


def test_html_shows_text_as_it_is_and_runs_nothing() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=y>\x1b[31m"
    text = as_html(
        Panel(evil, (Column.unbroken(evil), Column.numeric("n")), ((evil, evil),), (evil,))
    )
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    assert "background" not in text  # what is around it decides about light and dark


@pytest.fixture
def kernel(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[KernelManager, Any]]:
    """A real kernel in a student's folder."""
    package = Path(tinytorch_compete.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("TMPDIR", str(home.parent / "temporary"))
    (home.parent / "temporary").mkdir()
    manager, client = start_new_kernel(cwd=str(home), kernel_name="python3")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def until(client: Any, message_id: str, kinds: set[str]) -> list[dict[str, Any]]:
    """Return the kernel's messages about a request, up to the first of these kinds."""
    messages: list[dict[str, Any]] = []
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != message_id:
            continue
        messages.append(message)
        state = message["content"].get("execution_state")
        if message["msg_type"] in kinds or (state and f"status {state}" in kinds):
            return messages
    raise AssertionError(f"none of {kinds} came")


def test_interrupting_the_kernel_ends_a_check_and_leaves_nothing(
    challenge: Challenge, home: Path, kernel: tuple[KernelManager, Any]
) -> None:
    manager, client = kernel
    start = (
        "from tinytorch_compete.challenges import packs\n"
        "from pathlib import Path\n"
        f"found = {{e.slug: e for e in packs.load(Path({str(home.parent / 'pack')!r}))}}\n"
        "packs.find = lambda extra=(): found\n"
        "%load_ext tinytorch_compete\n%compete join mine\n"
    )
    until(client, client.execute(start), {"status idle"})
    write_answer(home / "mine", GOLD + "import time\ntime.sleep(25)\n")
    before = set(home.rglob("*"))
    request = client.execute("%compete check --challenge mine\nprint('goes on')")
    until(client, request, {"display_data"})
    marker = home.parent / "temporary"
    deadline = time.monotonic() + 60
    while not any(marker.glob("compete-*")) and time.monotonic() < deadline:
        assert client.is_alive()
    manager.interrupt_kernel()
    messages = until(client, request, {"status idle"})
    text = str([message["content"] for message in messages])
    assert "Stopped; nothing was sent or kept." in text
    assert "goes on" in text
    assert "Traceback" not in text
    assert set(home.rglob("*")) == before
    assert list(marker.iterdir()) == []
