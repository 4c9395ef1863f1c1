"""What stands in the place of another framework's package while a submission is graded."""

raise ModuleNotFoundError(
    f"No module named {__name__!r} while grading: submissions use numpy and their own framework",
    name=__name__,
)
