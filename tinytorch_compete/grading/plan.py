"""Everything about one grading that is the same for all submissions."""

from __future__ import annotations

import functools
import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from nbformat import NotebookNode

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
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.submissions import notebook

# Workers share a plan; held while a cached property is made, which Python locks only before 3.12.
_CACHING = threading.RLock()


class Plan(msgspec.Struct, frozen=True, dict=True, eq=False):
    """Everything about one grading that is the same for all submissions; make one by ``of``.

    ``points`` says what each grading cell is worth. Each submission is run once for each of
    ``exams``; ``final`` exams are used by no other grading. ``conditions`` is the identity of a
    result without what depends on the submission.
    """

    challenge: Challenge
    secret: bytes
    final: bool
    master: NotebookNode
    reference: NotebookNode | None
    points: Mapping[str, float]
    grader: Grader
    exams: tuple[Exam, ...]
    conditions: Identity

    @classmethod
    def of(
        cls,
        challenge: Challenge,
        secret: bytes,
        *,
        dataset: str | None = None,
        source: Path | None = None,
        seeds: int | None = None,
        final: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Plan:
        """The plan by which a challenge is graded in a course.

        ``secret`` is the course's; the challenge's secret seeds are derived from it, ``seeds`` of
        them or as many as the challenge says. ``source`` is a folder that holds the data set
        already. Raises ``CompeteError``.
        """
        master = challenge.master()
        choice = challenge.choice(dataset)
        data = prepare(
            choice.name, train=choice.train, public=choice.public, source=source, progress=progress
        )
        names = [_exam_name(k, final) for k in range(seeds or challenge.spec.seeds)]
        keys = [_seed(secret, challenge.slug + name) for name in names]
        conditions = Identity(
            student="",
            challenge=challenge.slug,
            challenge_sha=challenge.challenge_sha(),
            grader_sha=challenge.grader_sha(),
            submission_sha="",
            seed_sha=hashlib.sha256(b"".join(keys)).hexdigest(),
            dataset=f"{choice.name}:{data.digest()[:16]}",
            limits=challenge.spec.limits,
            final=final,
        )
        return cls(
            challenge,
            secret,
            final,
            master,
            challenge.reference(),
            notebook.points(master),
            Grader(challenge.grader_folder / "grader.py"),
            tuple(Exam(data, int.from_bytes(key[:16]), choice.holdout) for key in keys),
            conditions,
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
    def inputs(self) -> tuple[Mapping[str, Inputs | Timed], ...]:
        """What each probe is handed, for each exam; made once, the same for everybody."""
        with _CACHING:
            return self._inputs

    @functools.cached_property
    def _inputs(self) -> tuple[Mapping[str, Inputs | Timed], ...]:
        return tuple(self.grader.inputs(exam) for exam in self.exams)

    def request(self, number: int, assembled: NotebookNode, files: Path | None) -> RunRequest:
        """The run of an assembled notebook that answers the exam of that number."""
        return RunRequest(
            assembled,
            self.limits,
            self.inputs[number],
            files=files,
            data=self.exams[number].data.folder,
            reference=self.reference,
        )

    def capped(self, memory_mib: int) -> Plan:
        """This plan under another memory cap, without divisions."""
        limits = msgspec.structs.replace(self.limits, memory_mib=memory_mib)
        spec = msgspec.structs.replace(self.spec, limits=limits, divisions=())
        challenge = msgspec.structs.replace(self.challenge, spec=spec)
        return msgspec.structs.replace(self, challenge=challenge)

    def public(self) -> Plan:
        """This plan with one run, in which the public images stand in for the hidden ones."""
        data = self.exams[0].data
        exam = PublicExam(data, self.exams[0].seed, len(data.public()[1]))
        return msgspec.structs.replace(self, exams=(exam,))

    @property
    def rehearsal(self) -> Plan:
        """This plan with one run of other inputs, which no grade ever depends on; made once.

        What is shown of such a run, down to how often a line ran, tells nothing of the exams.
        """
        with _CACHING:
            return self._rehearsal

    @functools.cached_property
    def _rehearsal(self) -> Plan:
        seed = int.from_bytes(_seed(self.secret, self.challenge.slug + "/rehearsal")[:16])
        exam = Exam(self.exams[0].data, seed, self.exams[0].holdout_n)
        return msgspec.structs.replace(self, exams=(exam,))

    def identity(self, student: str, submission_sha: str) -> Identity:
        """What a result of a student's submission under this plan is about."""
        return msgspec.structs.replace(
            self.conditions, student=student, submission_sha=submission_sha
        )


def _exam_name(number: int, final: bool) -> str:
    return (f"/{number}" if number else "") + ("/final" if final else "")


def _seed(secret: bytes, name: str) -> bytes:
    return hmac.new(secret, name.encode(), hashlib.sha256).digest()
