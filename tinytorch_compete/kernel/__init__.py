"""Code inside the student's kernel, which is not trusted and imports nothing of ours."""
