"""A course and a student's folder that one Jupyter server shows, and pictures of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import nbformat
from nbformat import v4

if TYPE_CHECKING:
    from playwright.sync_api import Page

SLUG = "warm-up"
PICTURES = "COMPETE_SCREENSHOTS"  # a folder that is to keep what the browser saw
GOLD = """\
def predict(train_images, train_labels, images):
    means = np.stack([train_images[train_labels == c].mean(axis=0) for c in range(10)])
    return ((images[:, None].astype("f4") - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
WRONG = """\
def predict(train_images, train_labels, images):
    return np.zeros(len(images), int)
"""


class Classroom(msgspec.Struct, frozen=True):
    """Folders of a course and of a student below ``place``, and the server's address."""

    place: Path
    course: Path
    home: Path
    environment: dict[str, str]
    url: str = ""
    token: str = ""


def answer(path: Path, text: str, *lines: str) -> None:
    """Write an answer into the notebook of the challenge, and cells of one's own below it."""
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = text
    notebook.cells += [v4.new_code_cell(line) for line in lines]
    nbformat.write(notebook, path)


def choose(page: Page, menu: str, *items: str) -> None:
    """Choose from one of JupyterLab's menus, through its submenus."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    for item in items:
        page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()


def picture(page: Page, name: str, tmp_path: Path) -> None:
    """Keep what the page looks like."""
    folder = Path(os.environ.get(PICTURES) or tmp_path)
    page.screenshot(path=folder / f"{name}.png")
