"""What tests in a browser share: a classroom, JupyterLab, and Chromium."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from support.classroom import SLUG, Classroom

import tinytorch_compete
from tinytorch_compete.authoring.scaffold import scaffold
from tinytorch_compete.challenges import packs
from tinytorch_compete.cli.app import run
from tinytorch_compete.course import folder
from tinytorch_compete.student import join
from tinytorch_compete.student.join_options import JoinOptions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(tinytorch_compete.__file__).parents[1]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a sandbox, which Chromium refuses to make as root; no service of its maker's is called.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking"]
TIMEOUT_MS = 60_000  # for what takes a second or ten on an idle machine


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's Chromium; nothing is tested in a browser where it, or its driver, is missing."""
    pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium on this machine: none of {', '.join(CHROMIUM)}")
    return found


@pytest.fixture(scope="session")
def made(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """A released course, whose pack is installed as a package is, and a student's folder."""
    place = tmp_path_factory.mktemp("classroom")
    site, config = place / "site", place / "config"
    scaffold(SLUG, site / "warm_up_pack")
    (site / "warm_up_pack" / "__init__.py").touch()
    facts = site / "warm_up-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: warm-up\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[tinytorch_compete.packs]\nwarm = warm_up_pack\n")
    for name in ("exchange", "config", "data", "runtime", "home"):
        (place / name).mkdir()
    (place / "exchange").chmod(0o777)
    (config / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        "c.CourseDirectory.course_id = 'course'\n"
        f"c.Exchange.root = {str(place / 'exchange')!r}\n"
        f"c.Exchange.cache = {str(place / 'cache')!r}\n"
    )
    settings = config / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)  # without a question that covers what one wants to click
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    environment = {
        **folder.environment(),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(site), os.environ.get("PYTHONPATH", "")]),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(place / "data"),
        "JUPYTER_RUNTIME_DIR": str(place / "runtime"),
        "IPYTHONDIR": str(place / "ipython"),
    }
    room = Classroom(place, place / "course", place / "home", environment)
    with pytest.MonkeyPatch.context() as patch:
        for name in environment:
            patch.setenv(name, environment[name])
        compete = ["--pack", str(site / "warm_up_pack"), "course"]
        assert run([*compete, "init", str(room.course), SLUG], "tito compete") == 0
        assert run([*compete, "release", SLUG, "--course", str(room.course)], "tito compete") == 0
    join.join(packs.load(site / "warm_up_pack")[0], room.home, JoinOptions())
    return room


@pytest.fixture(scope="session")
def classroom(made: Classroom) -> Iterator[Classroom]:
    """The classroom with JupyterLab running; nbgrader's extensions come with nbgrader."""
    token = secrets.token_hex()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.root_dir={made.place}", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    with (made.place / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=made.course, env=made.environment, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(server, f"{url}/api/status?token={token}", made.place / "server.log")
            yield msgspec.structs.replace(made, url=url, token=token)
        finally:
            server.terminate()
            server.wait(30)


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Return when the server answers; it is given a minute."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            opener.open(url, timeout=5).close()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium without a window; one for each module, for it holds the thread's event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, classroom: Classroom) -> Iterator[Page]:
    """JupyterLab in a new window, from which nothing but its own server can be reached."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(TIMEOUT_MS)
    elsewhere = re.compile(rf"^(?!{re.escape(classroom.url)}/)")
    opened.route(elsewhere, lambda route: route.abort())
    opened.goto(f"{classroom.url}/lab?reset&token={classroom.token}")
    yield opened
    opened.close()
