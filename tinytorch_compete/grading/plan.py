"""Everything about one grading that is the same for all submissions."""

from __future__ import annotations

import copy
import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tinytorch_compete.challenges.packs import Challenge
from tinytorch_compete.datasets import prepare
from tinytorch_compete.judging.exam import Exam, PublicExam
from tinytorch_compete.judging.grader import Grader
from tinytorch_compete.model import (
    ChallengeSpec,
    Identity,
    Inputs,
    Limits,
    Timed,
)
from tinytorch_compete.submissions import notebook, submission
from tinytorch_compete.submissions.submission import Submission


class Plan:
    """Everything about one grading that is the same for all submissions.

    ``secret`` is the course's; the challenge's secret seeds are derived from it, ``seeds`` of them
    or as many as the challenge says. ``final`` takes other ones, that no earlier grading used.
    ``source`` is a folder that holds the data set already. Raises ``CompeteError``.
    """

    def __init__(
        self,
        challenge: Challenge,
        secret: bytes,
        *,
        dataset: str | None = None,
        source: Path | None = None,
        seeds: int | None = None,
        final: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.challenge, self.secret, self.final = challenge, secret, final
        self.master, self.reference = challenge.master(), challenge.reference()
        self.points = notebook.points(self.master)
        self.grader = Grader(challenge.grader_folder / "grader.py")
        choice = challenge.choice(dataset)
        data = prepare(
            choice.name, train=choice.train, public=choice.public, source=source, progress=progress
        )
        names = [_exam_name(k, final) for k in range(seeds or self.spec.seeds)]
        keys = [_seed(secret, challenge.slug + name) for name in names]
        self.exams: tuple[Exam, ...] = tuple(
            Exam(data, int.from_bytes(key[:16]), choice.holdout) for key in keys
        )
        self._same = Identity(
            student="",
            challenge=challenge.slug,
            challenge_sha=challenge.challenge_sha(),
            grader_sha=challenge.grader_sha(),
            submission_sha="",
            seed_sha=hashlib.sha256(b"".join(keys)).hexdigest(),
            dataset=f"{choice.name}:{data.digest()[:16]}",
            limits=self.limits,
            final=final,
        )

    @property
    def spec(self) -> ChallengeSpec:
        """The facts of the challenge."""
        return self.challenge.spec

    @property
    def limits(self) -> Limits:
        """What each run may use."""
        return self.spec.limits

    @property
    def conditions(self) -> Identity:
        """What all work is graded under, as ``ranking.conditions`` gives it."""
        return self._same

    @functools.cached_property
    def inputs(self) -> tuple[Mapping[str, Inputs | Timed], ...]:
        """What each probe is handed, for each exam; made once, the same for everybody."""
        return tuple(self.grader.inputs(exam) for exam in self.exams)

    def capped(self, memory_mib: int) -> Plan:
        """This plan under another memory cap, without divisions."""
        other = copy.copy(self)
        limits = msgspec.structs.replace(self.limits, memory_mib=memory_mib)
        spec = msgspec.structs.replace(self.spec, limits=limits, divisions=())
        other.challenge = msgspec.structs.replace(self.challenge, spec=spec)
        return other

    def public(self) -> Plan:
        """This plan with one run, in which the public images stand in for the hidden ones."""
        other = copy.copy(self)
        data = self.exams[0].data
        other.exams = (PublicExam(data, self.exams[0].seed, len(data.public()[1])),)
        return other

    @functools.cached_property
    def rehearsal(self) -> Plan:
        """This plan with one run of other inputs, which no grade ever depends on.

        What is shown of such a run, down to how often a line ran, tells nothing of the exams.
        """
        other = copy.copy(self)
        other.__dict__.pop("inputs", None)  # the exams' own
        seed = int.from_bytes(_seed(self.secret, self.challenge.slug + "/rehearsal")[:16])
        other.exams = (Exam(self.exams[0].data, seed, self.exams[0].holdout_n),)
        return other

    def identity(self, work: Submission, files: Mapping[str, str]) -> Identity:
        """What a result of this work under this plan is about."""
        return msgspec.structs.replace(
            self._same, student=work.student, submission_sha=submission.digest(files)
        )


def _exam_name(number: int, final: bool) -> str:
    return (f"/{number}" if number else "") + ("/final" if final else "")


def _seed(secret: bytes, name: str) -> bytes:
    return hmac.new(secret, name.encode(), hashlib.sha256).digest()
