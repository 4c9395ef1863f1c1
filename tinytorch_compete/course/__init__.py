"""What a course does with challenges, in nbgrader's terms."""
