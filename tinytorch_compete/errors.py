"""Every error that this package raises on purpose.

    CompeteError                one clear message: what went wrong, where, and what to do
    |-- PackError               a challenge, its files or its grader are invalid
    |-- NotebookError           a notebook can't be read, or isn't of this challenge
    |-- DataError               a data set can't be obtained, or has the wrong content
    |-- EvidenceError           an answer from a kernel isn't what the probe promised
    |-- IsolationError          this machine can't enforce a requested limit
    |-- StoreError              the results can't be read or written
    `-- Fault                   our side failed, through no fault of the student

The command line shows the message alone and ends with a non-zero status. ``Fault`` becomes the
verdict ``FAULT``, which is retried and never scored.
"""


class CompeteError(Exception):
    """An error that the reader can fix; the message says what went wrong, where, and what to do."""


class PackError(CompeteError):
    """A challenge folder lacks a file or contains something invalid."""


class NotebookError(CompeteError):
    """A file is not a notebook that can be graded for this challenge."""


class DataError(CompeteError):
    """A data set can't be obtained or has the wrong content."""


class EvidenceError(CompeteError):
    """An answer from a kernel is missing, malformed, too large or not finite."""


class IsolationError(CompeteError):
    """This machine can't enforce a limit that the caller requires."""


class StoreError(CompeteError):
    """The results can't be read or written."""


class Fault(CompeteError):
    """Our side failed, through no fault of the student; the run doesn't count."""
