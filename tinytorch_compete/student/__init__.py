"""What a student does: join, check, submit, results, hints."""
