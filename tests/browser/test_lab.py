"""A student's notebook in JupyterLab: what ``%compete`` shows there, on light and on dark."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from support.classroom import GOLD, SLUG, Classroom, answer, choose, picture

from tinytorch_compete.participants import registration

if TYPE_CHECKING:
    from playwright.sync_api import Page

LINES = ("%load_ext tinytorch_compete", "%compete check", "%compete submit", "%compete chek")
CHECKED = f"{SLUG}.ipynb: OK, 8.6 of 10 points, tier advanced, on public images"


def test_a_student_checks_and_submits_without_leaving_the_notebook(
    page: Page, classroom: Classroom, tmp_path: Path
) -> None:
    answer(classroom.home / SLUG / f"{SLUG}.ipynb", GOLD, *LINES)
    page.goto(f"{classroom.url}/lab/tree/home/{SLUG}/{SLUG}.ipynb")
    page.get_by_text("| Idle").wait_for()  # the kernel
    page.get_by_text("%compete chek").wait_for()
    cells = page.locator(".jp-Notebook .jp-Cell")
    count = cells.count()
    cells.first.click()
    for _ in range(count):
        page.keyboard.press("Shift+Enter")
    page.get_by_text("there is no %compete chek").wait_for()
    (receipt,) = registration.read(classroom.home / SLUG).receipts
    for text in (CHECKED, "Not checked: the hidden images", f"Receipt: {SLUG}", receipt.sha256):
        page.get_by_text(text).wait_for()
    assert page.get_by_text("Code cells of your own").count() == 0
    assert page.locator(".jp-Notebook .jp-RenderedText").count() == 0  # no warning, no traceback

    for theme, light in (("JupyterLab Light", "true"), ("JupyterLab Dark", "false")):
        choose(page, "Settings", "Theme", theme)
        page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
        for text in (CHECKED, f"Receipt: {SLUG}"):
            page.get_by_text(text).scroll_into_view_if_needed()
            picture(page, f"{text.split(':')[0]}-{theme.split()[1]}".lower(), tmp_path)
        assert contrast(page, f"Receipt: {SLUG}") > 7

    inbound = classroom.place / "exchange" / "course" / "inbound"
    (sent,) = inbound.iterdir()
    assert sent.name.startswith(f"{getpass.getuser()}+{SLUG}+")
    assert (sent / f"{SLUG}.ipynb").exists() and not (sent / "data").exists()


def contrast(page: Page, text: str) -> float:
    """The contrast of a text to what is behind it, by WCAG 2: 1 is none, 21 is black on white."""
    colours = page.get_by_text(text).evaluate(
        """element => {
            const ink = getComputedStyle(element).color
            let behind = element
            while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
                behind = behind.parentElement
            return [ink, getComputedStyle(behind).backgroundColor].map(
                colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number))
        }"""
    )
    darker, lighter = sorted(luminance(*colour) for colour in colours)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(*colour: float) -> float:
    """Relative luminance of an sRGB colour of 0 to 255, by WCAG 2."""
    red, green, blue = (
        c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4
        for c in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
