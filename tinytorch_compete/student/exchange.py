"""Deliver submissions through nbgrader's exchange, or a folder with the same layout."""

from __future__ import annotations

import datetime as dt
import getpass
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tinytorch_compete.errors import CompeteError, StoreError
from tinytorch_compete.submissions.submission import SENT, TIMESTAMP, parse_time

QUIET = logging.getLogger(f"{__name__}.nbgrader")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


def configured() -> Any:
    """Return nbgrader's configuration as ``nbgrader submit`` would load it here, if any.

    The result is ``None`` unless ``c.CourseDirectory.course_id`` names a course in an
    ``nbgrader_config.py``, in one of Jupyter's configuration folders or in the working folder.
    """
    from nbgrader.apps.baseapp import NbGrader  # a second to import

    app = NbGrader(log=QUIET)
    app.load_config_file()
    return app.config if app.config.CourseDirectory.get("course_id") else None


def course_of(config: Any) -> str:
    """Return nbgrader's name for the course."""
    return str(config.CourseDirectory.course_id)


def send(config: Any, folder: Path) -> dt.datetime:
    """Submit a folder named after its assignment to the configured exchange; return the time.

    Any ``ExchangeFactory`` works, ngshare's included. Raises ``CompeteError`` with the exchange's
    own words. Ngshare's raises nothing when its server refuses or can't be reached; the only sign
    is a ``timestamp`` of ``None`` (ngshare_exchange 0.5.3), which is no submission.
    """
    factory, arguments = _factory(config, folder.name)
    submit = factory.Submit(**arguments)
    with _LoggedErrors() as messages:
        _start(submit, folder.parent)
    if submit.timestamp is None:
        raise _refused("; ".join(messages) or "it gave no reason")
    return parse_time(submit.timestamp) or dt.datetime.now(dt.UTC)


def fetch_feedback(config: Any, slug: str, folder: Path) -> None:
    """Copy the exchange's feedback to ``folder/feedback``; raises ``CompeteError``."""
    factory, arguments = _factory(config, slug)
    with tempfile.TemporaryDirectory(prefix="compete-") as temporary:
        _start(factory.FetchFeedback(**arguments), Path(temporary))
        fetched = Path(temporary) / slug / "feedback"
        if fetched.is_dir():
            shutil.copytree(fetched, folder / "feedback", dirs_exist_ok=True)


def _factory(config: Any, slug: str) -> tuple[Any, dict[str, Any]]:
    """Return the configured exchange, and the arguments that each of its parts takes."""
    from nbgrader.auth import Authenticator
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.exchange import ExchangeFactory

    course_directory = CourseDirectory(config=config, log=QUIET)
    course_directory.assignment_id = slug
    authenticator = Authenticator(config=config, log=QUIET)
    factory = ExchangeFactory(config=config, log=QUIET)
    return factory, {"coursedir": course_directory, "authenticator": authenticator}


def _start(part: Any, folder: Path) -> None:
    from nbgrader.exchange import ExchangeError

    part.assignment_dir = str(folder)
    if part.has_trait("path_includes_course"):
        part.path_includes_course = False
    try:
        part.start()
    except (ExchangeError, OSError, RuntimeError) as error:
        raise _refused(str(error)) from None


def _refused(why: str) -> CompeteError:
    return CompeteError(
        f"the exchange refused: {why.rstrip('.')}. Is it set up and the assignment released? "
        "Ask the staff, or name a folder that takes submissions: --to FOLDER"
    )


class _LoggedErrors(logging.Handler):
    """Collect the first line of each error that nbgrader's parts log within a ``with`` block."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().partition("\n")[0])

    def __enter__(self) -> list[str]:
        QUIET.addHandler(self)
        return self.lines

    def __exit__(self, *_: object) -> None:
        QUIET.removeHandler(self)


def put(to: Path, folder: Path) -> dt.datetime:
    """Copy a folder named after its challenge to ``to/STUDENT/``; return the time.

    The copy replaces the last one as a whole, and gets a ``timestamp.txt`` like nbgrader's. Raises
    ``StoreError``.
    """
    now = dt.datetime.now(dt.UTC)
    place = to / username() / folder.name
    if not to.is_dir():
        raise StoreError(f"{to}: no such folder to send to; ask the staff for the right one.")
    try:
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".sending-") as temporary:
            copy = Path(temporary) / folder.name
            shutil.copytree(folder, copy)
            (copy / TIMESTAMP).write_text(now.strftime(SENT))
            if place.exists():
                place.rename(Path(temporary) / "before")
            copy.rename(place)
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None
    return now


def username() -> str:
    """Return the student's name in the course, as nbgrader determines it."""
    name = getpass.getuser()
    return os.environ.get("JUPYTERHUB_USER", name) if name == "jovyan" else name
