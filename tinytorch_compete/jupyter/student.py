"""``%compete WORD``: the student commands, in a notebook."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from IPython.display import HTML, Markdown, display

from tinytorch_compete.challenges import packs
from tinytorch_compete.errors import CompeteError
from tinytorch_compete.feedback import record
from tinytorch_compete.grading.plan import Plan
from tinytorch_compete.leaderboard import board as boards
from tinytorch_compete.leaderboard import ranking, tables
from tinytorch_compete.participants import registration
from tinytorch_compete.profiling import notebook
from tinytorch_compete.profiling.html import fragment
from tinytorch_compete.rendering.panel import Panel, as_html, error_html
from tinytorch_compete.sandbox.local import LocalSandbox
from tinytorch_compete.student import check, hints, join, results, submit, workspace
from tinytorch_compete.student.commands import COMMANDS, Option
from tinytorch_compete.student.join_options import JoinOptions

RUNNING, STOP = "Running it in a sandbox", "interrupt to stop"


class _Words(argparse.ArgumentParser):
    """The words of one ``%compete`` line; wrong ones are an error in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise CompeteError(f"{message}. {self.format_usage().strip()}")


class Student:
    """``%compete WORD``: what students do, in a notebook; one method for each word.

    Each gets the words after its own, and what the command line's ``tito compete WORD`` takes.
    """

    def compete(self, line: str) -> None:
        """Take part in challenges: list, join, check, submit, results, hint, guide, leaderboard.

        ``profile`` shows what the lines of a notebook cost.
        """
        try:
            word, *rest = shlex.split(line) or ["list"]
            if word not in COMMANDS:
                words = ", ".join(COMMANDS)
                raise CompeteError(f"there is no %compete {word}; known are: {words}.")
            getattr(self, word)(rest)
        except (CompeteError, ValueError) as error:  # shlex: a quote without its other half
            display(HTML(error_html(str(error))))

    def list(self, words: Sequence[str]) -> None:
        """Show the challenges, and which of them were joined near here."""
        _parse("list", words)
        show(workspace.challenges(packs.find(), Path()))

    def join(self, words: Sequence[str]) -> None:
        """Bring a challenge's files here, or change how one takes part."""
        said = _parse("join", words)
        challenge = packs.resolve(packs.find(), said.slug)
        wishes = JoinOptions(
            folder=said.folder,
            handle=said.handle,
            to=said.to,
            dataset=said.dataset,
            source=said.data,
            team=said.team,
            word=said.word,
            show=said.show,
            progress=said.progress,
        )
        _, before = join.joined(challenge, Path(), wishes.folder)
        show(join.join(challenge, Path(), wishes))
        if before is None and None in (said.show, said.progress):
            display(HTML(as_html(Panel(lines=(UNASKED,)))))

    def check(self, words: Sequence[str]) -> None:
        """Grade the open notebook, as it was saved, on the public images."""
        said = _parse("check", words)
        shown = set[int]()
        with _sandboxed() as show_html:

            def running(seconds: float, limit: float) -> None:
                if int(seconds) not in shown:
                    shown.add(int(seconds))
                    show_html(f"{RUNNING}: {int(seconds)} s of at most {limit:g} s; {STOP}.")

            path, sandbox = self._notebook(said), LocalSandbox()
            panel = check.check(
                packs.find(), Path(), said.challenge, path, sandbox, running=running
            )
            show_html(as_html(panel))

    def profile(self, words: Sequence[str]) -> None:
        """Show what the lines of the open notebook cost, as it was saved, or of another one.

        One that was joined is run as its challenge does; of any other all cells are.
        """
        said = _parse("profile", words)
        path = said.notebook or _open()
        if path is None:
            raise CompeteError("which notebook? Name it: %compete profile NOTEBOOK.ipynb")
        with _sandboxed() as show_html:
            plan = _plan(path, said)
            found = notebook.take(path, plan, LocalSandbox())
            failed = error_html(found.failure) if found.failure else ""
            show_html(fragment(found.profile, found.reasons) + failed)

    def submit(self, words: Sequence[str]) -> None:
        """Send the open notebook, as it was saved, to the course."""
        said = _parse("submit", words)

        def agreed(panel: Panel) -> bool:
            show(panel)
            return True

        path, slug = self._notebook(said), said.challenge
        if receipt := submit.submit(packs.find(), Path(), slug, path, said.to, agreed):
            show(receipt)

    def results(self, words: Sequence[str]) -> None:
        """Show one's own results."""
        said = _parse("results", words)
        came = getattr(said, "from")
        for panel in results.panels(packs.find(), Path(), said.slug, came, said.detailed):
            show(panel)

    def hint(self, words: Sequence[str]) -> None:
        """Show one more hint."""
        show(hints.hint(packs.find(), Path(), _parse("hint", words).slug))

    def guide(self, words: Sequence[str]) -> None:
        """Show a challenge's guide."""
        show(hints.guide(packs.find(), Path(), _parse("guide", words).slug))

    def leaderboard(self, words: Sequence[str]) -> None:
        """Show a leaderboard from the data that the course published, one's own line marked."""
        board = boards.read(_parse("leaderboard", words).file)
        rows = ranking.board(board.challenge, board.newest)
        told = []
        if folder := registration.find(Path()).get(board.slug):
            told = record.history(folder / "feedback", board.slug)
        own = told[-1][1].handle if told else ""
        me = next((row for row in rows if own and row.handle == own), None)
        for table in tables.ranked(board.challenge, rows, me):
            display(table)

    def _notebook(self, said: argparse.Namespace) -> Path | None:
        """The notebook that was named, or the open one if that is of a challenge."""
        path: Path | None = said.notebook
        if path or said.challenge:
            return path
        here = _open()
        return here if here and (here.parent / registration.FILE).is_file() else None


UNASKED = (
    "You weren't asked what to share, for a notebook has no prompt. To change it: %compete join "
    "with --handle NAME (or '' for a pseudonym), --show handle, anonymous or nothing, and "
    "--progress or --no-progress for earlier results."
)


def _parse(word: str, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words after a command; raises ``CompeteError`` if it doesn't take them."""
    return parser_of(word).parse_args(words)


def parser_of(word: str) -> argparse.ArgumentParser:
    """Return the parser of one command's words, made from the table of student commands."""
    parser = _Words(prog=f"%compete {word}", add_help=False, allow_abbrev=False)
    for option in COMMANDS[word]:
        parser.add_argument(option.name, **_argument(option))
    return parser


def _argument(option: Option) -> dict[str, Any]:
    """Describe a shared option to argparse."""
    if option.kind == "flag":
        return {"action": "store_true"}
    if option.kind == "switch":
        return {"action": argparse.BooleanOptionalAction}
    parsed: dict[str, Any] = {"type": _path} if option.kind in ("path", "notebook") else {}
    if option.choices:
        parsed["choices"] = option.choices
    if option.is_positional and not option.required:
        parsed["nargs"] = "?"
    return parsed


@contextlib.contextmanager
def _sandboxed() -> Iterator[Callable[[str], None]]:
    """Say that something runs, and then show its HTML, or how it ended, in the same place."""
    status = display(HTML(f"{RUNNING}; {STOP}."), display_id=True)
    try:
        yield lambda text: status.update(HTML(text))
    except KeyboardInterrupt:
        status.update(HTML("Stopped; nothing was sent or kept."))
    except CompeteError as error:
        status.update(HTML(error_html(str(error))))


def _open() -> Path | None:
    """The notebook that is open in Jupyter, if it can be told."""
    session = Path(os.environ.get("JPY_SESSION_NAME", ""))  # set by Jupyter's server
    here = Path.cwd() / session.name
    return here if session.suffix == ".ipynb" and here.is_file() else None


def _plan(path: Path, said: argparse.Namespace) -> Plan | None:
    """How a notebook's challenge runs it: one that is named, or that was joined in its folder."""
    who = registration.read(path.parent) if (path.parent / registration.FILE).is_file() else None
    joined = who and who.challenge == path.stem
    if not said.slug and not joined:
        return None
    challenge = packs.resolve(packs.find(), said.slug or path.stem)
    dataset, data = said.dataset, said.data
    if who and who.challenge == challenge.slug:
        dataset, data = dataset or who.dataset, data or _path(who.source)
    return notebook.plan(challenge, dataset, data)


def show(panel: Panel) -> None:
    """Display a panel below the cell."""
    if panel.markdown:
        title = f"**{panel.title}**\n\n" if panel.title else ""
        display(Markdown(title + panel.markdown))
        panel = msgspec.structs.replace(panel, title="")
    if panel.title or panel.rows or panel.lines:
        display(HTML(as_html(panel)))


def complete(shell: Any, event: Any) -> list[str]:
    """What may follow on a ``%compete`` line: its words, then challenges, options and notebooks."""
    words = event.line.split()
    if len(words) < 2 or (len(words) == 2 and event.symbol == words[1]):
        return [word for word in COMMANDS if word.startswith(event.symbol)]
    options = COMMANDS.get(words[1], ())
    kinds = {option.kind for option in options}
    challenges = list(packs.find()) if "challenge" in kinds else []
    notebooks = [path.name for path in Path().glob("*.ipynb")] if "notebook" in kinds else []
    flags = [flag for option in options for flag in option.flags]
    return [word for word in [*challenges, *notebooks, *flags] if word.startswith(event.symbol)]


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
