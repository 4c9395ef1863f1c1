"""Plan a grading: fix everything that is the same for all submissions."""

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
from tinytorch_compete.model import ChallengeSpec, Identity, Inputs, Limits, Timed
from tinytorch_compete.sandbox.contract import RunRequest
from tinytorch_compete.submissions import notebook

# Workers share a plan, and since Python 3.12 a cached property doesn't lock.
_CACHING = threading.RLock()


class Plan(msgspec.Struct, frozen=True, dict=True, eq=False):
    """Everything about one grading that is the same for all submissions; create it with ``of``.

    ``points`` maps each grading cell to its maximal points. Each submission is run once for each of
    ``exams``; ``final`` exams are used by no other grading. ``conditions`` is a result's identity
    without the fields that depend on the submission.
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
        """Plan the grading of a challenge in a course.

        ``secret`` is the course's; the challenge's secret seeds are derived from it, ``seeds`` of
        them or as many as the challenge specifies. ``source`` is a folder that already holds the
        data set. Raises ``CompeteError``.
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
        """The challenge's specification."""
        return self.challenge.spec

    @property
    def limits(self) -> Limits:
        """The resource limits of each run."""
        return self.spec.limits

    @property
    def inputs(self) -> tuple[Mapping[str, Inputs | Timed], ...]:
        """The inputs of each probe, for each exam; made once, the same for every submission."""
        with _CACHING:
            return self._inputs

    @functools.cached_property
    def _inputs(self) -> tuple[Mapping[str, Inputs | Timed], ...]:
        return tuple(self.grader.inputs(exam) for exam in self.exams)

    def request(self, number: int, assembled: NotebookNode, files: Path | None) -> RunRequest:
        """Request a run of an assembled notebook that answers the exam with that number."""
        return RunRequest(
            assembled,
            self.limits,
            self.inputs[number],
            files=files,
            data=self.exams[number].data.folder,
            reference=self.reference,
        )

    def capped(self, memory_mib: int) -> Plan:
        """Return this plan with another memory cap and without divisions."""
        limits = msgspec.structs.replace(self.limits, memory_mib=memory_mib)
        spec = msgspec.structs.replace(self.spec, limits=limits, divisions=())
        challenge = msgspec.structs.replace(self.challenge, spec=spec)
        return msgspec.structs.replace(self, challenge=challenge)

    def public(self) -> Plan:
        """Return this plan with one run, on the public images instead of the hidden ones."""
        data = self.exams[0].data
        exam = PublicExam(data, self.exams[0].seed, len(data.public()[1]))
        return msgspec.structs.replace(self, exams=(exam,))

    @property
    def rehearsal(self) -> Plan:
        """This plan with one run on other inputs, which no grade ever depends on; made once.

        Everything shown about such a run, even how often a line ran, gives away nothing of the
        exams.
        """
        with _CACHING:
            return self._rehearsal

    @functools.cached_property
    def _rehearsal(self) -> Plan:
        seed = int.from_bytes(_seed(self.secret, self.challenge.slug + "/rehearsal")[:16])
        exam = Exam(self.exams[0].data, seed, self.exams[0].holdout_n)
        return msgspec.structs.replace(self, exams=(exam,))

    def identity(self, student: str, submission_sha: str) -> Identity:
        """Return the identity of a result of a student's submission under this plan."""
        return msgspec.structs.replace(
            self.conditions, student=student, submission_sha=submission_sha
        )


def _exam_name(number: int, final: bool) -> str:
    return (f"/{number}" if number else "") + ("/final" if final else "")


def _seed(secret: bytes, name: str) -> bytes:
    return hmac.new(secret, name.encode(), hashlib.sha256).digest()
