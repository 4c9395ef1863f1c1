"""Student commands in a notebook: ``%compete WORD``."""

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


class _Parser(argparse.ArgumentParser):
    """Parse one ``%compete`` line; raise ``CompeteError`` with one sentence for wrong words."""

    def error(self, message: str) -> NoReturn:
        raise CompeteError(f"{message}. {self.format_usage().strip()}")


class Student:
    """The ``%compete`` magic, with a method for each command.

    A method gets the words after the command's name, which ``tito compete`` takes, too.
    """

    def compete(self, line: str) -> None:
        """Take part in challenges: list, join, check, submit, results, hint, guide, leaderboard.

        ``profile`` shows what the lines of a notebook cost.
        """
        try:
            word, *rest = shlex.split(line) or ["list"]
            if word not in COMMANDS:
                words = ", ".join(COMMANDS)
                raise CompeteError(f"there is no %compete {word}; the commands are: {words}.")
            getattr(self, word)(rest)
        except (CompeteError, ValueError) as error:  # shlex: a quote without its other half
            display(HTML(error_html(str(error))))

    def list(self, words: Sequence[str]) -> None:
        """Show the challenges, and which of them were joined near here."""
        _parse("list", words)
        show(workspace.challenges(packs.find(), Path()))

    def join(self, words: Sequence[str]) -> None:
        """Join a challenge, or change how you take part."""
        arguments = _parse("join", words)
        challenge = packs.resolve(packs.find(), arguments.slug)
        options = JoinOptions(
            folder=arguments.folder,
            handle=arguments.handle,
            to=arguments.to,
            dataset=arguments.dataset,
            source=arguments.data,
            team=arguments.team,
            word=arguments.word,
            show=arguments.show,
            progress=arguments.progress,
        )
        _, before = join.joined(challenge, Path(), options.folder)
        show(join.join(challenge, Path(), options))
        if before is None and None in (arguments.show, arguments.progress):
            display(HTML(as_html(Panel(lines=(UNASKED,)))))

    def check(self, words: Sequence[str]) -> None:
        """Grade the open notebook, as it was last saved, on the public images."""
        arguments = _parse("check", words)
        seconds_shown = set[int]()
        with _sandboxed() as show_html:

            def running(seconds: float, limit: float) -> None:
                if int(seconds) not in seconds_shown:
                    seconds_shown.add(int(seconds))
                    show_html(f"{RUNNING}: {int(seconds)} s of at most {limit:g} s; {STOP}.")

            path, sandbox = self._notebook(arguments), LocalSandbox()
            panel = check.check(
                packs.find(), Path(), arguments.challenge, path, sandbox, running=running
            )
            show_html(as_html(panel))

    def profile(self, words: Sequence[str]) -> None:
        """Show what each line costs in the open notebook, as it was last saved, or in a named one.

        A joined challenge's notebook is run as in grading; of any other notebook, all cells are.
        """
        arguments = _parse("profile", words)
        path = arguments.notebook or _open_notebook()
        if path is None:
            raise CompeteError("which notebook? Name it: %compete profile NOTEBOOK.ipynb")
        with _sandboxed() as show_html:
            plan = _plan(path, arguments)
            profiled = notebook.take(path, plan, LocalSandbox())
            failure = error_html(profiled.failure) if profiled.failure else ""
            show_html(fragment(profiled.profile, profiled.reasons) + failure)

    def submit(self, words: Sequence[str]) -> None:
        """Send the open notebook, as it was last saved, to the course."""
        arguments = _parse("submit", words)

        def agreed(panel: Panel) -> bool:
            show(panel)
            return True

        path, slug = self._notebook(arguments), arguments.challenge
        if receipt := submit.submit(packs.find(), Path(), slug, path, arguments.to, agreed):
            show(receipt)

    def results(self, words: Sequence[str]) -> None:
        """Show your own results."""
        arguments = _parse("results", words)
        slug, feedback_from = arguments.slug, getattr(arguments, "from")
        challenges, detailed = packs.find(), arguments.detailed
        for panel in results.panels(challenges, Path(), slug, feedback_from, detailed):
            show(panel)

    def hint(self, words: Sequence[str]) -> None:
        """Show one more hint."""
        show(hints.hint(packs.find(), Path(), _parse("hint", words).slug))

    def guide(self, words: Sequence[str]) -> None:
        """Show a challenge's guide."""
        show(hints.guide(packs.find(), Path(), _parse("guide", words).slug))

    def leaderboard(self, words: Sequence[str]) -> None:
        """Show a leaderboard from the course's published data, with your own line marked."""
        board = boards.read(_parse("leaderboard", words).file)
        rows = ranking.board(board.challenge, board.newest)
        history = []
        if folder := registration.find(Path()).get(board.slug):
            history = record.history(folder / "feedback", board.slug)
        handle = history[-1][1].handle if history else ""
        me = next((row for row in rows if handle and row.handle == handle), None)
        for table in tables.ranked(board.challenge, rows, me):
            display(table)

    def _notebook(self, arguments: argparse.Namespace) -> Path | None:
        """Return the named notebook, or the open one if a challenge was joined in its folder."""
        path: Path | None = arguments.notebook
        if path or arguments.challenge:
            return path
        here = _open_notebook()
        return here if here and (here.parent / registration.FILE).is_file() else None


UNASKED = (
    "You weren't asked what to share, because a notebook has no prompt. To change it, run %compete "
    "join with --handle NAME (or '' for a pseudonym), --show handle, anonymous or nothing, and "
    "--progress or --no-progress for earlier results."
)


def _parse(word: str, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words after a command; raises ``CompeteError`` if it doesn't take them."""
    return parser_of(word).parse_args(words)


def parser_of(word: str) -> argparse.ArgumentParser:
    """Return the parser of one command's words, made from the table of student commands."""
    parser = _Parser(prog=f"%compete {word}", add_help=False, allow_abbrev=False)
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
    """Show that a run is under way and then, in the same place, its HTML or how it ended."""
    status = display(HTML(f"{RUNNING}; {STOP}."), display_id=True)
    try:
        yield lambda text: status.update(HTML(text))
    except KeyboardInterrupt:
        status.update(HTML("Stopped; nothing was sent or kept."))
    except CompeteError as error:
        status.update(HTML(error_html(str(error))))


def _open_notebook() -> Path | None:
    """Return the notebook that is open in Jupyter, if its server says which."""
    session = Path(os.environ.get("JPY_SESSION_NAME", ""))  # set by Jupyter's server
    here = Path.cwd() / session.name
    return here if session.suffix == ".ipynb" and here.is_file() else None


def _plan(path: Path, arguments: argparse.Namespace) -> Plan | None:
    """Return the plan of a notebook's challenge: the one named, or joined in its folder."""
    who = registration.read(path.parent) if (path.parent / registration.FILE).is_file() else None
    is_joined = who and who.challenge == path.stem
    if not arguments.slug and not is_joined:
        return None
    challenge = packs.resolve(packs.find(), arguments.slug or path.stem)
    dataset, data = arguments.dataset, arguments.data
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
    """Complete a ``%compete`` line: commands, then challenges, notebooks and options."""
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
