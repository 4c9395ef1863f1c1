"""Student commands and their options, in one table for the terminal and for Jupyter.

``cli`` makes Typer's parameters from it, ``jupyter`` the magic's parser and its completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from tinytorch_compete.participants.registration import Shown

Kind = Literal["text", "choice", "path", "challenge", "notebook", "flag", "switch"]


class Option(msgspec.Struct, frozen=True):
    """An argument or an option of a student command.

    ``name`` begins with two hyphens unless the argument is positional. A ``challenge`` is a slug or
    an alias, a ``notebook`` or a ``path`` becomes a ``Path``, a ``choice`` is one of ``choices``, a
    ``flag`` takes no value, and a ``switch`` has an opposite that begins with ``--no-``. The
    default is ``False`` for a flag and ``None`` for anything else that isn't ``required``.
    """

    name: str
    help: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    required: bool = False

    @property
    def is_positional(self) -> bool:
        """Whether the value is given by its place, without the name."""
        return not self.name.startswith("--")

    @property
    def metavar(self) -> str:
        """What stands for the value in a usage line."""
        return self.name.removeprefix("--").upper()

    @property
    def flags(self) -> tuple[str, ...]:
        """The words that give the option on a command line; none for a positional argument."""
        if self.is_positional:
            return ()
        opposite = f"--no-{self.name.removeprefix('--')}"
        return (self.name, opposite) if self.kind == "switch" else (self.name,)


SLUG = Option("slug", "The challenge's slug or alias.", "challenge", required=True)
JOINED_SLUG = Option("slug", "Defaults to the challenge joined here.", "challenge")
RESULTS_SLUG = Option("slug", "Defaults to all challenges.", "challenge")
PROFILED_SLUG = Option("slug", "Run the notebook as this challenge grades it.", "challenge")
GUIDE_SLUG = Option(
    "slug",
    "A challenge, insights, or an insight's name; defaults to the challenge joined here.",
    "challenge",
)
CHALLENGE = Option(
    "--challenge", "The challenge's slug or alias, if you joined several.", "challenge"
)
NOTEBOOK = Option("notebook", "Defaults to the notebook in the challenge's folder.", "notebook")
PROFILED_NOTEBOOK = Option("notebook", "The notebook to run.", "notebook")
BOARD = Option("file", "A leaderboard's data, as the course published it.", required=True)

HANDLE = Option("--handle", "Your name on the leaderboard; '' for a pseudonym.")
DROP_FOLDER = Option("--to", "The folder for submissions, if the course has no exchange.", "path")
WORK_FOLDER = Option(
    "--folder", "Where to put the challenge; defaults to a new folder SLUG.", "path"
)
DATASET = Option("--dataset", "One of the challenge's data sets.")
DATA_FOLDER = Option("--data", "A folder that has the data set.", "path")
TEAM = Option("--team", "Compete as a team, with its invite word; '' for none.")
INVITE_WORD = Option("--word", "The team's invite word; a new team gets one.")
SHOW = Option("--show", "How the leaderboard shows you.", "choice", get_args(Shown))
PROGRESS = Option("--progress", "Also show your earlier results and their dates.", "switch")

SEND_TO = Option("--to", "A folder to send to instead of the exchange.", "path")
FEEDBACK_FROM = Option(
    "--from", "For students: the folder where the course puts its feedback.", "path"
)
DETAILED = Option(
    "--detailed",
    "Also show confidence intervals, ranks and the distance to the next group.",
    "flag",
)

COMMANDS: Mapping[str, tuple[Option, ...]] = {
    "list": (),
    "join": (
        SLUG,
        HANDLE,
        DROP_FOLDER,
        WORK_FOLDER,
        DATASET,
        DATA_FOLDER,
        TEAM,
        INVITE_WORD,
        SHOW,
        PROGRESS,
    ),
    "check": (NOTEBOOK, CHALLENGE),
    "profile": (PROFILED_NOTEBOOK, PROFILED_SLUG, DATASET, DATA_FOLDER),
    "submit": (NOTEBOOK, CHALLENGE, SEND_TO),
    "results": (RESULTS_SLUG, FEEDBACK_FROM, DETAILED),
    "hint": (JOINED_SLUG,),
    "guide": (GUIDE_SLUG,),
    "leaderboard": (BOARD,),
}
