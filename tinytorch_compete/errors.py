"""Every error that this package raises on purpose.

    CompeteError                one clear message: what went wrong, where, and what to do
    |-- PackError               a challenge, its files or its grader are not as they must be
    |-- NotebookError           a notebook can't be read, or isn't of this challenge
    |-- DataError               a data set can't be had, or isn't what it should be
    |-- EvidenceError           what came out of a kernel isn't what the probe promised
    |-- IsolationError          this machine can't hold a limit that was asked for
    |-- StoreError              the results can't be read or written
    `-- Fault                   our side broke, through no doing of the student's

The command line shows the message alone and ends with a non-zero status. ``Fault`` becomes the
verdict ``FAULT``, which is retried and never scored.
"""


class CompeteError(Exception):
    """Something that the reader can mend; the message says what, where, and how."""


class PackError(CompeteError):
    """A challenge folder is missing something or says something that it can't."""


class NotebookError(CompeteError):
    """A file is not a notebook that can be graded for this challenge."""


class DataError(CompeteError):
    """A data set could not be had or is not what it should be."""


class EvidenceError(CompeteError):
    """An answer from a kernel is missing, malformed, too large or not finite."""


class IsolationError(CompeteError):
    """This machine can't enforce a limit that the caller requires."""


class StoreError(CompeteError):
    """The results can't be read or written."""


class Fault(CompeteError):
    """Our side failed, through no doing of the student's; the run counts for nothing."""
