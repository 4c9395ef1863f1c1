"""Stand-in for another framework's package while a submission is graded: importing it fails."""

raise ModuleNotFoundError(
    f"No module named {__name__!r} while grading: submissions use numpy and their own framework",
    name=__name__,
)
