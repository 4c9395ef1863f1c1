"""What a student is told beyond the grade: data, what of it comes first, and its words."""
