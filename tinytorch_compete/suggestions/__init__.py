"""Profile a graded submission, try fixes in the sandbox, and choose which to show."""
