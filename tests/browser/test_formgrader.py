"""Formgrader in JupyterLab: its buttons grade by our judge, and give feedback that says so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.classroom import GOLD, SLUG, WRONG, Classroom, answer, choose, picture

from tinytorch_compete.authoring.samples import NAMED_BY
from tinytorch_compete.model import Result
from tinytorch_compete.results.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page

STUDENTS = {"ada": GOLD, "ben": WRONG, "cleo": "1 / 0"}


@pytest.fixture
def handed_in(classroom: Classroom) -> list[str]:
    """Students whose work the course collected: good, wrong, broken."""
    for student, text in STUDENTS.items():
        place = classroom.course / "submitted" / student / SLUG
        shutil.copytree(classroom.course / "release" / SLUG, place)
        answer(place / f"{SLUG}.ipynb", text)
        (place / "timestamp.txt").write_text("2026-01-31 12:00:00.000000 UTC")
        (place / NAMED_BY).write_text(f"the secret of {student}")
    return list(STUDENTS)


def test_its_buttons_grade_a_class_and_give_feedback(
    page: Page, classroom: Classroom, handed_in: list[str], tmp_path: Path
) -> None:
    choose(page, "Nbgrader", "Formgrader")
    shown = page.frame_locator("iframe")
    shown.locator(".num-submissions a").click()
    for student in handed_in:
        row(shown, student).locator(".autograde a").click()
        confirm(shown, f"Successfully autograded '{SLUG}' for student '{student}'")
    kept = Store(classroom.course / "graded" / "results.sqlite").latest()
    judged = {result.identity.student: result for result in kept}
    assert [str(judged[student].verdict) for student in handed_in] == ["OK", "WRONG", "ERROR"]
    for student in handed_in:
        row(shown, student).get_by_text("graded", exact=True).wait_for()
        assert row(shown, student).locator(".score").inner_text() == score(judged[student])
    picture(page, "formgrader-submissions", tmp_path)

    shown.get_by_role("link", name="Manage Assignments").click()
    shown.locator(".num-submissions a").wait_for()
    for button, said in (("generate", "generated"), ("release", "released")):
        shown.locator(f".{button}-feedback a").click()
        confirm(shown, f"Successfully {said} feedback")
    released = classroom.place / "exchange" / "course" / "feedback"
    assert len(list(released.glob("*.html"))) == len(handed_in)

    shown.get_by_role("link", name="Manual Grading").click()
    for place in (SLUG, f"{SLUG}/{SLUG}"):
        shown.locator(f"td a[href$='/formgrader/gradebook/{place}']").click()
    shown.get_by_role("link", name="Submission #1").click()
    shown.get_by_text("Student's answer").first.wait_for()
    picture(page, "formgrader-submission", tmp_path)

    for student in handed_in:
        place = f"course/feedback/{student}/{SLUG}/{SLUG}.html"
        page.goto(f"{classroom.url}/files/{place}?token={classroom.token}")
        assert headline(judged[student]) in page.locator("body").inner_text()
        picture(page, f"feedback-{student}", tmp_path)


def row(shown: FrameLocator, student: str) -> Locator:
    return shown.locator(f"tr:has(.student-id:text-is('{student}'))")


def confirm(shown: FrameLocator, message: str) -> None:
    """Wait for formgrader's word on what it did, and close it."""
    dialog = shown.locator(".modal")
    dialog.get_by_text(message).wait_for()
    dialog.get_by_role("button", name="Close").last.click()
    dialog.wait_for(state="detached")


def score(result: Result) -> str:
    assert result.points is not None
    return f"{round(result.points, 2):g} / {result.max_points:g}"


def headline(result: Result) -> str:
    tier = f" · tier {result.tier}" if result.tier else ""
    return f"{result.verdict} · {result.points:g} of {result.max_points:g} points{tier}\n"
