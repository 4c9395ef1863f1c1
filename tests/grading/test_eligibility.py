"""A quota limits new submissions and never takes back one that it accepted before."""

from __future__ import annotations

from pathlib import Path

import msgspec
from support.registrations import SIZE, at, registered, result_at

from tinytorch_compete.grading.eligibility import admit
from tinytorch_compete.model import Dates, Result
from tinytorch_compete.participants.roster import Roster, enrol
from tinytorch_compete.submissions import submission
from tinytorch_compete.submissions.snapshot import Snapshot, load
from tinytorch_compete.submissions.submission import Submission


def submit(folder: Path, student: str, hours: float) -> Snapshot:
    place = folder / student / "mine"
    place.mkdir(parents=True)
    (place / "mine.ipynb").write_text(f"{student} at {hours}")
    (place / submission.TIMESTAMP).write_text(at(hours).strftime(submission.SENT))
    return load(Submission(student, place / "mine.ipynb", place))


def graded(work: Snapshot, hours: float) -> Result:
    result = result_at(work.student, 5, hours)
    identity = msgspec.structs.replace(result.identity, submission_sha=work.sha)
    return msgspec.structs.replace(result, identity=identity)


def test_a_teammate_who_joins_later_pushes_no_accepted_submission_over_the_quota(
    tmp_path: Path,
) -> None:
    adas, bobs = submit(tmp_path / "old", "ada", 1), submit(tmp_path / "old", "bob", 0)
    history = [graded(adas, 1), graded(bobs, 0)]
    newer = submit(tmp_path / "new", "bob", 4)
    roster = enrol(Roster(), [registered("ada", "Rocket", hours=1), registered("bob")], SIZE)
    roster = enrol(roster, [registered("bob", "Rocket", hours=4)], SIZE)
    admission = admit(Dates(per_day=1), [adas, newer], history, roster)
    assert admission.admitted == (adas,)
    ((refused, reason),) = admission.refused
    assert refused == newer
    assert reason.startswith("2 ")
    assert "2026-03-02" in reason
