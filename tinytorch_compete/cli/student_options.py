"""Typer's parameters for the options that the terminal shares with Jupyter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tinytorch_compete.participants.registration import Shown
from tinytorch_compete.student import commands
from tinytorch_compete.student.commands import Option


def parameter(option: Option) -> Any:
    """Describe a shared option to Typer."""
    if option.is_positional:
        metavar = option.metavar if option.required else f"[{option.metavar}]"
        return typer.Argument(metavar=metavar, help=option.help)
    return typer.Option("/".join(option.flags), help=option.help)


JoinedSlug = Annotated[str | None, parameter(commands.JOINED_SLUG)]
ResultsSlug = Annotated[str | None, parameter(commands.RESULTS_SLUG)]
ProfiledSlug = Annotated[str | None, parameter(commands.PROFILED_SLUG)]
GuideSlug = Annotated[str | None, parameter(commands.GUIDE_SLUG)]
ChallengeName = Annotated[str | None, parameter(commands.CHALLENGE)]
Notebook = Annotated[Path | None, parameter(commands.NOTEBOOK)]
# Jupyter knows which notebook is open; a terminal must be told.
ProfiledNotebook = Annotated[
    Path, parameter(msgspec.structs.replace(commands.PROFILED_NOTEBOOK, required=True))
]

Handle = Annotated[str | None, parameter(commands.HANDLE)]
DropFolder = Annotated[Path | None, parameter(commands.DROP_FOLDER)]
WorkFolder = Annotated[Path | None, parameter(commands.WORK_FOLDER)]
Dataset = Annotated[str | None, parameter(commands.DATASET)]
DataFolder = Annotated[Path | None, parameter(commands.DATA_FOLDER)]
Team = Annotated[str | None, parameter(commands.TEAM)]
InviteWord = Annotated[str | None, parameter(commands.INVITE_WORD)]
Show = Annotated[Shown | None, parameter(commands.SHOW)]
Progress = Annotated[bool | None, parameter(commands.PROGRESS)]

SendTo = Annotated[Path | None, parameter(commands.SEND_TO)]
FeedbackFrom = Annotated[Path | None, parameter(commands.FEEDBACK_FROM)]
Detailed = Annotated[bool, parameter(commands.DETAILED)]
