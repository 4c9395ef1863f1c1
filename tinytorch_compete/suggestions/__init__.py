"""Profile a graded submission, try fixes in the sandbox, choose what to show."""
