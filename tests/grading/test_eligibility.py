"""Which submissions a quota lets in, and that it takes back nothing that it let in before."""

from __future__ import annotations

from pathlib import Path

import msgspec
from support.registrations import SIZE, at
from support.registrations import registered as said
from support.registrations import result_at as result

from tinytorch_compete.grading.eligibility import admit
from tinytorch_compete.model import Dates, Result
from tinytorch_compete.participants.roster import Roster, enrol
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.submissions.submission import Submission


def sent(folder: Path, student: str, hours: float) -> Snapshot:
    place = folder / student / "mine"
    place.mkdir(parents=True)
    (place / "mine.ipynb").write_text(f"{student} at {hours}")
    (place / submission.TIMESTAMP).write_text(at(hours).strftime(submission.SENT))
    return load(Submission(student, place / "mine.ipynb", place))


def graded(work: Snapshot, hours: float) -> Result:
    made = result(work.student, 5, hours)
    identity = msgspec.structs.replace(made.identity, submission_sha=work.sha)
    return msgspec.structs.replace(made, identity=identity)


def test_a_teammate_who_joins_later_makes_nothing_too_much_that_was_taken(tmp_path: Path) -> None:
    adas, bobs = sent(tmp_path / "old", "ada", 1), sent(tmp_path / "old", "bob", 0)
    history = [graded(adas, 1), graded(bobs, 0)]
    newer = sent(tmp_path / "new", "bob", 4)
    known = enrol(Roster(), [said("ada", "Rocket", hours=1), said("bob")], SIZE)
    known = enrol(known, [said("bob", "Rocket", hours=4)], SIZE)
    found = admit(Dates(per_day=1), [adas, newer], history, known)
    assert found.admitted == (adas,)
    ((late, why),) = found.refused
    assert late == newer
    assert "2 were taken on 2026-03-02" in why
