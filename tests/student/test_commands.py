"""The terminal and Jupyter take the same options for each student command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from typer.models import ArgumentInfo

from tinytorch_compete.cli.app import app
from tinytorch_compete.jupyter import student
from tinytorch_compete.participants.registration import Shown
from tinytorch_compete.student.commands import COMMANDS, Option

# Every difference is deliberate. ``tito compete leaderboard`` is the staff's: it writes the file
# that ``%compete leaderboard`` shows.
SHARED = sorted(COMMANDS.keys() - {"leaderboard"})
# A terminal also writes files and shows staff the results of a class, and a notebook has no prompt
# that ``--yes`` would answer.
TERMINAL_ONLY = {
    "profile": {"--html", "--json"},
    "results": {"--results", "--csv", "--parquet", "--history", "--flags", "--final"},
    "submit": {"--yes"},
}
# Only Jupyter knows which notebook is open.
REQUIRED_IN_TERMINAL = {("profile", "notebook")}
TYPES = {
    "text": (str, str | None),
    "challenge": (str, str | None),
    "path": (Path, Path | None),
    "notebook": (Path, Path | None),
    "choice": (Shown, Shown | None),
    "flag": (bool, bool),
    "switch": (bool, bool | None),
}


def terminal_options(word: str) -> dict[str, tuple[set[str], Any, str]]:
    """The flags, type and help of each option of ``tito compete WORD``, by its name."""
    functions = {c.name or c.callback.__name__: c.callback for c in app.registered_commands}
    options = {}
    for name, hint in get_type_hints(functions[word], include_extras=True).items():
        if not hasattr(hint, "__metadata__"):
            continue
        (info,) = hint.__metadata__
        if isinstance(info, ArgumentInfo):
            options[info.metavar.strip("[]").lower()] = (set(), hint.__origin__, info.help)
        else:
            # In an annotation, Typer keeps the first word that names an option as the default.
            words = [word for word in (info.default, *(info.param_decls or ())) if word is not ...]
            flags = "/".join(words or [f"--{name}"]).split("/")
            options[flags[0]] = (set(flags), hint.__origin__, info.help)
    return options


def jupyter_options(word: str) -> dict[str, argparse.Action]:
    """The actions of the parser of ``%compete WORD``, by the option's name."""
    actions = student.parser_of(word)._actions
    return {(action.option_strings or [action.dest])[0]: action for action in actions}


def shared_options(word: str) -> dict[str, Option]:
    return {option.name: option for option in COMMANDS[word]}


@pytest.mark.parametrize("word", SHARED)
def test_the_terminal_takes_the_options_in_the_table(word: str) -> None:
    options = terminal_options(word)
    assert options.keys() == shared_options(word).keys() | TERMINAL_ONLY.get(word, set())
    for name, option in shared_options(word).items():
        required = option.required or (word, name) in REQUIRED_IN_TERMINAL
        expected = TYPES[option.kind][0 if required else 1]
        assert options[name] == (set(option.flags), expected, option.help)


@pytest.mark.parametrize("word", COMMANDS)
def test_jupyter_takes_the_options_in_the_table(word: str) -> None:
    actions = jupyter_options(word)
    assert actions.keys() == shared_options(word).keys()
    for name, option in shared_options(word).items():
        assert set(actions[name].option_strings) == set(option.flags)
        assert actions[name].required == option.required
        assert tuple(actions[name].choices or ()) == option.choices


def test_a_command_parses_to_the_same_values_in_jupyter() -> None:
    words = ["mine", "--to", "drop", "--show", "nothing", "--no-progress", "--team", ""]
    parsed = student.parser_of("join").parse_args(words)
    assert (parsed.slug, parsed.to, parsed.show) == ("mine", Path("drop"), "nothing")
    assert (parsed.progress, parsed.team, parsed.handle) == (False, "", None)
