"""How a submission gets to the course: by nbgrader's exchange, or by a folder laid out as it is."""

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
    """nbgrader's configuration as ``nbgrader submit`` would see it here; ``None`` without a course.

    A course is named by ``c.CourseDirectory.course_id`` in an ``nbgrader_config.py``, in one of
    Jupyter's configuration folders or in the working folder.
    """
    from nbgrader.apps.baseapp import NbGrader  # a second to import

    app = NbGrader(log=QUIET)
    app.load_config_file()
    return app.config if app.config.CourseDirectory.get("course_id") else None


def course_of(config: Any) -> str:
    """What nbgrader calls the course."""
    return str(config.CourseDirectory.course_id)


def send(config: Any, made: Path) -> dt.datetime:
    """Submit a folder named after its assignment by the exchange that is configured; when it was.

    Any ``ExchangeFactory`` does, ngshare's among them. Raises ``CompeteError`` in its words.
    Ngshare's ends without an error when its server refuses or can't be reached, and says so only by
    a ``timestamp`` of ``None`` (ngshare_exchange 0.5.3): that is no submission.
    """
    factory, facts = _factory(config, made.name)
    submit = factory.Submit(**facts)
    with _Complaints() as complaints:
        _start(submit, made.parent)
    if submit.timestamp is None:
        raise _refused("; ".join(complaints) or "it didn't say why")
    return parse_time(submit.timestamp) or dt.datetime.now(dt.UTC)


def fetch_feedback(config: Any, slug: str, folder: Path) -> None:
    """Bring what feedback the exchange has into ``folder/feedback``; raises ``CompeteError``."""
    factory, facts = _factory(config, slug)
    with tempfile.TemporaryDirectory(prefix="compete-") as temporary:
        _start(factory.FetchFeedback(**facts), Path(temporary))
        came = Path(temporary) / slug / "feedback"
        if came.is_dir():
            shutil.copytree(came, folder / "feedback", dirs_exist_ok=True)


def _factory(config: Any, slug: str) -> tuple[Any, dict[str, Any]]:
    """The configured exchange, and what each of its parts is told."""
    from nbgrader.auth import Authenticator
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.exchange import ExchangeFactory

    place = CourseDirectory(config=config, log=QUIET)
    place.assignment_id = slug
    authenticator = Authenticator(config=config, log=QUIET)
    factory = ExchangeFactory(config=config, log=QUIET)
    return factory, {"coursedir": place, "authenticator": authenticator}


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


class _Complaints(logging.Handler):
    """Keeps the first line of each error that nbgrader's parts log while it is entered."""

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


def put(to: Path, made: Path) -> dt.datetime:
    """Put a folder named after its challenge into ``to/STUDENT/``, whole, in place of the last one.

    It gets a ``timestamp.txt`` as nbgrader's have. Raises ``StoreError``.
    """
    now = dt.datetime.now(dt.UTC)
    place = to / username() / made.name
    if not to.is_dir():
        raise StoreError(f"{to}: no such folder to send to; ask the staff which one it is.")
    try:
        place.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".sending-") as temporary:
            copy = Path(temporary) / made.name
            shutil.copytree(made, copy)
            (copy / TIMESTAMP).write_text(now.strftime(SENT))
            if place.exists():
                place.rename(Path(temporary) / "before")
            copy.rename(place)
    except OSError as error:
        raise StoreError(f"{place}: can't be written ({error.strerror}).") from None
    return now


def username() -> str:
    """Who the student is to the course, as nbgrader sees it."""
    name = getpass.getuser()
    return os.environ.get("JUPYTERHUB_USER", name) if name == "jovyan" else name
